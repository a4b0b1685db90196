//! Functions that create the figures a method returns, such as `heatmap(t, "saliency", #{ over: cx.input })`.

use super::options::CallOptions;
use super::{LabeledTrace, number, out};
use crate::exec::ScoresNotFinite;
use crate::explain::Relevance;
use crate::render::{Array as Values, Bar, Body, Cells, Channels, ClassRow, Figure, Scale, Series, Unit, brief};
use crate::script::sandbox::bounded_text;
use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Tensor};
use rhai::{Array, Dynamic, Engine, FLOAT, INT, Map};

pub(super) fn register(engine: &mut Engine) {
    for (name, scale) in [("heatmap", Scale::Range), ("signed", Scale::Symmetric)] {
        engine.register_fn(name, move |t: Tensor| out(map(&t, name, scale, &Map::new())));
        engine.register_fn(name, move |t: Tensor, title: &str| out(map(&t, title, scale, &Map::new())));
        engine.register_fn(name, move |t: Tensor, title: &str, options: Map| out(map(&t, title, scale, &options)));
    }
    engine.register_fn("map", |relevance: Relevance| out(relevance_map(&relevance)));
    engine.register_fn("image", |t: Tensor| out(image(&t, "image")));
    engine.register_fn("image", |t: Tensor, title: &str| out(image(&t, title)));
    engine.register_fn("montage", |t: Tensor, title: &str| out(montage(&t, title, &Map::new())));
    engine.register_fn("montage", |t: Tensor, title: &str, options: Map| out(montage(&t, title, &options)));
    engine.register_fn("classes", |t: LabeledTrace| out(classes(&t, 10)));
    engine.register_fn("classes", |t: LabeledTrace, count: INT| out(classes(&t, count.max(1) as usize)));
    engine.register_fn("bars", |labels: Array, values: Dynamic, title: &str| out(bars(&labels, &values, title)));
    engine.register_fn("line", |series: Map, title: &str| out(line(&series, title, &Map::new())));
    engine.register_fn("line", |series: Map, title: &str, options: Map| out(line(&series, title, &options)));
    engine.register_fn("table", |columns: Array, rows: Array, title: &str| out(table(&columns, &rows, title)));
    engine.register_fn("text", |text: &str, title: &str| Figure::new(title, Body::Text { text: text.into() }));
    engine.register_fn("caption", |figure: Figure, text: &str| Figure { caption: text.into(), ..figure });
    engine.register_fn("unit", |figure: Figure, name: &str| shown_in(figure, Unit::new(name)));
    engine.register_fn("unit", |figure: Figure, name: &str, zero: FLOAT, gain: FLOAT| {
        shown_in(figure, Unit { zero: zero as f32, gain: gain as f32, ..Unit::new(name) })
    });
    engine.register_fn("brief", |number: FLOAT| brief(number as f32));
    engine.register_fn("badge", |text: &str, good: bool| Figure::new(text, Body::Badge { text: text.into(), good }));
}

/// Converts the value returned by a method to figures. The value is a figure, an array of figures, or `()`.
pub(in crate::script) fn figures(answer: Dynamic) -> Result<Vec<Figure>> {
    if answer.is_unit() {
        return Ok(vec![]);
    }
    if let Some(figure) = answer.clone().try_cast::<Figure>() {
        return Ok(vec![figure]);
    }
    let kind = answer.type_name();
    let Some(many) = answer.clone().try_cast::<Array>() else {
        bail!("a method must return a figure, such as heatmap(t, \"title\"), or an array of figures, got {kind}");
    };
    many.into_iter().map(figures).collect::<Result<Vec<_>>>().map(|f| f.concat())
}

/// The figure with its values shown in a unit.
fn shown_in(mut figure: Figure, unit: Unit) -> Figure {
    figure.quantity.unit = Some(unit);
    figure
}

/// Copies the shape and the values of a tensor.
pub(in crate::script) fn values(t: &Tensor) -> Result<Values> {
    let (shape, flat) = (t.dims().to_vec(), t.flatten_all()?);
    match t.dtype() {
        DType::F64 => Values::of_f64(shape, flat.to_vec1()?),
        _ => Values::new(shape, flat.to_dtype(DType::F32)?.to_vec1::<f32>()?),
    }
}

/// The first picture of a batch, as values of shape `(C, H, W)`.
fn picture(t: &Tensor) -> Result<Values> {
    let t = if t.rank() == 4 { t.narrow(0, 0, 1)?.squeeze(0)? } else { t.clone() };
    ensure!(t.rank() == 3, "a picture must have shape (N, C, H, W) or (C, H, W), got {:?}", t.dims());
    values(&t)
}

fn check(options: &Map, known: &[&str]) -> Result<()> {
    CallOptions::new("a figure", options.clone(), known).map(drop)
}

/// Parses the option `scale: "range" | "positive" | "p99" | "symmetric" | "symmetric_p99" | [low, high]`.
fn scale(options: &Map, default: Scale) -> Result<Scale> {
    let Some(value) = options.get("scale") else { return Ok(default) };
    if let Some(bounds) = value.read_lock::<Array>() {
        ensure!(bounds.len() == 2, "a fixed scale must be [low, high]");
        return Ok(Scale::Fixed(number(&bounds[0])? as f32, number(&bounds[1])? as f32));
    }
    let name = value.clone().into_string().map_err(|t| anyhow!("a scale must be a name or [low, high], got {t}"))?;
    Ok(match name.as_str() {
        "range" => Scale::Range,
        "positive" => Scale::Positive,
        "p99" => Scale::Percentile,
        "symmetric" => Scale::Symmetric,
        "symmetric_p99" => Scale::SymmetricPercentile,
        other => bail!("no scale named \"{other}\"; use range, positive, p99, symmetric, symmetric_p99 or [low, high]"),
    })
}

fn map(t: &Tensor, title: &str, default: Scale, options: &Map) -> Result<Figure> {
    let o = CallOptions::new(
        "a heatmap",
        options.clone(),
        &["over", "scale", "channels", "note", "grid", "units", "choose"],
    )?;
    ensure!((2..=4).contains(&t.rank()), "a map must have shape (H, W), (C, H, W) or (N, C, H, W), got {:?}", t.dims());
    let over = match options.get("over") {
        None => None,
        Some(v) => Some(picture(&v.clone().try_cast::<Tensor>().context("`over` must be a picture")?)?),
    };
    let note = options.get("note").map_or_else(String::new, bounded_text::text);
    let values = values(t)?;
    let resolution = [values.shape[values.shape.len() - 2], values.shape[values.shape.len() - 1]];
    let grid = match o.sizes("grid")?[..] {
        [] => resolution,
        [rows, columns] => [rows, columns],
        _ => bail!("`grid` must be [rows, columns]"),
    };
    let cells = cells(&o, grid, grid[0] * grid[1])?;
    let mut figure = Figure::new(title, Body::Map { values, scale: scale(options, default)?, over, note, cells });
    figure.quantity.channels = match o.one_of("channels", &["sum", "largest"])? {
        "largest" => Channels::Largest,
        _ => Channels::Sum,
    };
    Ok(figure)
}

/// A heatmap of the relevance at the input, summed over channels and drawn over the input picture.
fn relevance_map(relevance: &Relevance) -> Result<Figure> {
    let over = if (3..=4).contains(&relevance.x.rank()) { Some(picture(&relevance.x)?) } else { None };
    let body = Body::Map {
        values: values(&relevance.input()?.sum_keepdim(1)?)?,
        scale: Scale::SymmetricPercentile,
        over,
        note: String::new(),
        cells: Cells::default(),
    };
    Ok(Figure::new("relevance", body))
}

fn image(t: &Tensor, title: &str) -> Result<Figure> {
    Ok(Figure::new(title, Body::Image { pixels: picture(t)? }))
}

/// A figure that shows a grid of `K` tiles, given as `(K, H, W)` or `(K, C, H, W)`.
///
/// Options: `scale`; `each: true` to scale each tile separately; `columns`; `marked`, the index of a highlighted tile;
/// `captions`, an array of strings shown below the tiles; `show`, the number of tiles drawn; `of`, the total number of tiles if
/// the `K` tiles are a selection; `frames`, border colors `(K, 3)`; `units` and `choose`, what the tiles [stand for](cells).
fn montage(t: &Tensor, title: &str, options: &Map) -> Result<Figure> {
    let o = CallOptions::new(
        "a montage",
        options.clone(),
        &["scale", "each", "columns", "marked", "captions", "show", "of", "frames", "units", "choose"],
    )?;
    let t = match t.dims() {
        [_, 1, _, _] => t.squeeze(1)?,
        [_, 3, _, _] => t.clone(),
        [1, _, _, _] => t.squeeze(0)?,
        _ => t.clone(),
    };
    ensure!(matches!(t.rank(), 3 | 4), "tiles must have shape (K, H, W) or (K, C, H, W), got {:?}", t.dims());
    let tiles = values(&t)?;
    let count = tiles.shape[0];
    let body = Body::Montage {
        tiles,
        scale: scale(options, Scale::Range)?,
        each: o.switch("each", false)?,
        columns: o.size("columns", 0)?,
        marked: if o.has("marked") { Some(o.size("marked", 0)?) } else { None },
        captions: o.texts("captions")?,
        shown: o.size("show", count)?.min(count),
        of: o.size("of", count)?.max(count),
        frames: colors(&o, "frames", count)?,
        cells: cells(&o, [0, 0], count)?,
    };
    Ok(Figure::new(title, body))
}

/// Reads what `count` cells stand for: `units`, the unit of the network that each shows, and `choose: #{ parameter: values }`, the
/// parameter that is set by choosing a cell, with its value for each.
fn cells(o: &CallOptions, grid: [usize; 2], count: usize) -> Result<Cells> {
    let units = o.texts("units")?;
    ensure!(units.is_empty() || units.len() == count, "got {} units for {count} cells", units.len());
    let mut cells = Cells { grid, units, ..Cells::default() };
    if let Some(choose) = o.raw("choose") {
        let map = choose.read_lock::<Map>().context("`choose` must be a map #{ parameter: [value, …] }")?;
        ensure!(map.len() == 1, "`choose` must name one parameter, got {}", map.len());
        for (name, values) in map.iter() {
            cells.parameter = name.to_string();
            cells.values = strings(values)?;
        }
        ensure!(cells.values.len() == count, "got {} values to choose for {count} cells", cells.values.len());
    }
    Ok(cells)
}

/// An array of strings and numbers, as strings.
fn strings(values: &Dynamic) -> Result<Vec<String>> {
    let all = values.read_lock::<Array>().context("expected an array of values")?;
    Ok(all.iter().map(bounded_text::text).collect())
}

/// Reads `count` RGB colors from the option `key`, a tensor `(count, 3)` in `[0, 1]`; empty if the option is absent.
pub(super) fn colors(o: &CallOptions, key: &'static str, count: usize) -> Result<Vec<[u8; 3]>> {
    let Some(given) = o.raw(key) else { return Ok(vec![]) };
    let t = given
        .clone()
        .try_cast::<Tensor>()
        .with_context(|| format!("`{key}` must be a tensor of shape ({count}, 3)"))?;
    ensure!(t.dims() == [count, 3], "`{key}` must have shape ({count}, 3), got {:?}", t.dims());
    let byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    Ok(values(&t)?.data.chunks_exact(3).map(|c| [byte(&c[0]), byte(&c[1]), byte(&c[2])]).collect())
}

/// A figure that lists the `count` most likely classes, or a badge with the reason if the scores are not finite, or a text if the network
/// has no class scores.
fn classes(run: &LabeledTrace, count: usize) -> Result<Figure> {
    if let Err(none) = run.trace.graph.check_classes() {
        return Ok(Figure::new("classes", Body::Text { text: none.to_string() }));
    }
    let body = match class_rows(run, count) {
        Err(error) if error.is::<ScoresNotFinite>() => Body::Badge { text: error.to_string(), good: false },
        rows => Body::Classes { rows: rows?, of: run.trace.logits()?.dim(1)? },
    };
    Ok(Figure::new("classes", body))
}

/// The `count` most likely classes of the first picture, most likely first.
///
/// Errors with [`ScoresNotFinite`] if the scores are not finite.
pub(in crate::script) fn class_rows(run: &LabeledTrace, count: usize) -> Result<Vec<ClassRow>> {
    let first = |t: Tensor| -> Result<Vec<f32>> { Ok(t.narrow(0, 0, 1)?.squeeze(0)?.to_dtype(DType::F32)?.to_vec1()?) };
    let (logits, probabilities) = (first(run.trace.scores()?)?, first(run.probabilities()?)?);
    let mut order: Vec<_> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let row = |class| ClassRow {
        class,
        label: run.card.label(class),
        probability: probabilities[class],
        logit: logits[class],
    };
    Ok(order.into_iter().take(count).map(row).collect())
}

fn bars(labels: &Array, amounts: &Dynamic, title: &str) -> Result<Figure> {
    let amounts = match amounts.read_lock::<Tensor>() {
        Some(t) => values(&t)?.data.to_vec(),
        None => {
            let many = amounts.read_lock::<Array>().context("bars expects a tensor or an array of numbers")?;
            many.iter().map(|v| number(v).map(|v| v as f32)).collect::<Result<Vec<_>>>()?
        }
    };
    ensure!(labels.len() == amounts.len(), "got {} labels for {} bars", labels.len(), amounts.len());
    let bars = labels.iter().zip(amounts).map(|(l, value)| Bar { label: bounded_text::text(l), value }).collect();
    Ok(Figure::new(title, Body::Bars { bars }))
}

/// A plot of the curves `series`, a map `#{ name: [y, …] }`. The x axis is the index of each value unless set by the options
/// `#{ x: [x, …], axis: "name of the x axis" }`.
fn line(series: &Map, title: &str, options: &Map) -> Result<Figure> {
    check(options, &["x", "axis"])?;
    let places = options.get("x").map(numbers).transpose()?;
    let axis = options.get("axis").map_or("step".into(), bounded_text::text);
    let curve = |(label, ys): (&rhai::Identifier, &Dynamic)| -> Result<Series> {
        let ys = numbers(ys).context("a curve must be an array of numbers")?;
        let xs = places.clone().unwrap_or_else(|| (0..ys.len()).map(|i| i as f32).collect());
        ensure!(xs.len() == ys.len(), "the curve \"{label}\" has {} values for {} x coordinates", ys.len(), xs.len());
        Ok(Series { label: label.to_string(), points: xs.into_iter().zip(ys).collect() })
    };
    let series = series.iter().map(curve).collect::<Result<_>>()?;
    Ok(Figure::new(title, Body::Line { axis, series }))
}

/// Reads an array of numbers.
fn numbers(values: &Dynamic) -> Result<Vec<f32>> {
    let values = values.read_lock::<Array>().context("expected an array of numbers")?;
    values.iter().map(|v| number(v).map(|v| v as f32)).collect()
}

fn table(columns: &Array, rows: &Array, title: &str) -> Result<Figure> {
    let texts = |cells: &Array| -> Vec<String> { cells.iter().map(cell).collect() };
    let row =
        |r: &Dynamic| r.read_lock::<Array>().map(|cells| texts(&cells)).context("a row must be an array of cells");
    let rows = rows.iter().map(row).collect::<Result<_>>()?;
    Ok(Figure::new(title, Body::Table { columns: texts(columns), rows }))
}

/// Formats a value for a table cell. A number that is exact in f32 gets the fewest digits that identify it as f32: 99.1, not
/// 99.0999984741211.
fn cell(value: &Dynamic) -> String {
    match value.as_float() {
        Ok(v) if FLOAT::from(v as f32) == v => format!("{:?}", v as f32),
        Ok(v) => format!("{v:?}"),
        Err(_) => bounded_text::text(value),
    }
}
