"""Writes tests/fixtures/data_sets/: small data sets in the formats of NumPy, WebDataset, Hugging Face and CIFAR, which
tests/numbers/data_set_formats.rs reads.

Byte k of picture i is (37 * i + k) % 256, in the order of the array, or in the order H, W, C of a PNG of 4 x 3 pixels.

python3 scripts/reference/data_sets.py     (NumPy 2.4, Pillow 13, pyarrow 26, datasets)
"""
import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FOLDER = Path(__file__).parents[2] / "tests/fixtures/data_sets"
NAMES = ["ant", "bee", "cat"]


def pictures(count, *shape, first=0):
    size = int(np.prod(shape))
    rows = (37 * np.arange(first, first + count)[:, None] + np.arange(size)) % 256
    return rows.astype(np.uint8).reshape(count, *shape)


def png(i):
    file = io.BytesIO()
    Image.fromarray(pictures(1, 3, 4, 3, first=i)[0]).save(file, "PNG")
    return file.getvalue()


def numpy_archives():
    train, test = pictures(4, 5, 4, first=10), pictures(3, 5, 4)
    np.savez(FOLDER / "keras.npz", x_train=train, y_train=[3, 2, 1, 0], x_test=test, y_test=np.array([0, 1, 2]))
    splits = {"train": 10, "val": 20, "test": 0}
    arrays = {f"{split}_images": pictures(3, 5, 4, 3, first=first) for split, first in splits.items()}
    arrays |= {f"{split}_labels": np.array([[2], [0], [1]], np.uint8) for split in splits}
    np.savez_compressed(FOLDER / "medmnist.npz", **arrays)
    floats = (pictures(3, 3, 5, 4) / 255).astype(np.float32)
    np.savez(FOLDER / "floats.npz", images=floats, labels=np.eye(3)[[1, 2, 0]])
    np.savez(FOLDER / "unnamed.npz", pictures(3, 5, 4), np.array([0, 1, 2]))
    np.savez(FOLDER / "normalised.npz", x=pictures(3, 5, 4) / 64.0 - 2, y=[0, 1, 2])
    np.savez(FOLDER / "other.npz", weights=np.zeros(3), bias=np.zeros(2))


def shards():
    for shard in range(2):
        with tarfile.open(FOLDER / f"shard-{shard:06}.tar", "w") as tar:
            for i in (3 * shard, 3 * shard + 1, 3 * shard + 2):
                label = {"cls": str(i % 3), "json": json.dumps({"label": i % 3, "caption": "x"}), "txt": "a caption"}
                parts = {"png": png(i), **{ending: text.encode() for ending, text in label.items()}}
                for ending in ("json", "png", "txt") if i == 1 else ("cls", "png", "txt"):
                    entry = tarfile.TarInfo(f"./{i:06}.{ending}")
                    entry.size = len(parts[ending])
                    tar.addfile(entry, io.BytesIO(parts[ending]))


def parquet():
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64())], metadata=metadata)
    rows = [{"image": {"bytes": png(i), "path": f"{i}.png"}, "label": i % 3} for i in range(5)]
    pq.write_table(pa.Table.from_pylist(rows, schema), FOLDER / "test-00000-of-00001.parquet", row_group_size=2)
    train = [{"image": {"bytes": png(i), "path": f"{i}.png"}, "label": 2} for i in range(10, 12)]
    pq.write_table(pa.Table.from_pylist(train, schema), FOLDER / "train-00000-of-00001.parquet")
    unlabelled = [{"image": {"bytes": png(i), "path": None}, "label": -1} for i in range(2)]
    pq.write_table(pa.Table.from_pylist(unlabelled, schema), FOLDER / "unlabelled.parquet")
    paths = [{"image": {"bytes": None, "path": f"{i}.png"}, "label": 1} for i in range(2)]
    pq.write_table(pa.Table.from_pylist(paths, schema), FOLDER / "paths.parquet")
    plain = pa.table({"idx": [0, 1, 2], "image": [png(i) for i in range(3)], "class": ["bee", "ant", "bee"]})
    pq.write_table(plain, FOLDER / "plain.parquet", compression="none", data_page_version="2.0")
    pq.write_table(plain, FOLDER / "zstd.parquet", compression="zstd")
    pq.write_table(plain, FOLDER / "delta.parquet", use_dictionary=False, column_encoding={"image": "DELTA_LENGTH_BYTE_ARRAY"})
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), FOLDER / "words.parquet")


def by_datasets():
    import datasets

    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    rows = {"img": [Image.fromarray(pictures(1, 3, 4, 3, first=i)[0]) for i in range(4)], "label": [0, 1, 2, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(FOLDER / "datasets.parquet")


def short(text):
    """A string as Python 2 pickles it."""
    return b"U" + bytes([len(text)]) + text.encode()


def cifar():
    data = pictures(2, 3072)
    # Python 2's pickle of a NumPy array, protocol 2, as in the published batches.
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03U\x01bq\x04\x87q\x05Rq\x06"
    dtype = b"cnumpy\ndtype\nq\x07U\x02u1q\x08K\x00K\x01\x87q\x09Rq\x0a(K\x03U\x01|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb"
    values = b"T" + struct.pack("<I", data.nbytes) + data.tobytes()
    state = b"(K\x01K\x02M\x00\x0c\x86q\x0d" + dtype + b"\x89" + values + b"q\x0etq\x0fb"
    labels = b"]q\x10(K\x08K\x03e"
    whole = b"\x80\x02}q\x00(" + short("data") + array + state + short("labels") + labels + b"u."
    read = pickle.loads(whole, encoding="latin1")
    assert (read["data"] == data).all() and read["labels"] == [8, 3]
    (FOLDER / "test_batch").write_bytes(whole)
    hundred = {"data": data, "fine_labels": [99, 7], "coarse_labels": [3, 4]}
    (FOLDER / "cifar100.pkl").write_bytes(pickle.dumps(hundred, protocol=4))
    (FOLDER / "cifar100_5.pkl").write_bytes(pickle.dumps(hundred, protocol=5))
    fortran = {"data": np.asfortranarray(data), "labels": [8, 3]}
    (FOLDER / "fortran.pkl").write_bytes(pickle.dumps(fortran, protocol=4))
    (FOLDER / "fortran_5.pkl").write_bytes(pickle.dumps(fortran, protocol=5))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    numpy_archives()
    shards()
    parquet()
    by_datasets()
    cifar()


if __name__ == "__main__":
    main()
