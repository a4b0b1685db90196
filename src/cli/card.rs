//! `gradscope card`: a network's preprocessing and class names, and the source of each value.

use super::args::{CardArgs, HostArgs};
use super::{open, out, tables, usage};
use crate::data::write_whole;
use crate::hub::is_hub_name;
use crate::model::Card;
use crate::model::card::{CardRow, document, own_json, path_beside, rows};
use crate::script::architecture::open_model::{sources_without_weights, split};
use crate::script::host::Host;
use crate::words;
use anyhow::{Context, Result, anyhow, ensure};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Shows the card of a network, and writes it next to the network's file if requested.
pub fn card(host_args: &HostArgs, args: &CardArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let card = network(&host, args)?;
    if args.write {
        let file = write(&card, args)?;
        out::tell(&format!("wrote {}", words::path(&file)));
    }
    if args.json {
        let mut all = document(&card, false);
        all["model"] = card.name.as_str().into();
        if !card.sources.hub.is_empty() {
            all["hub"] = (*card.sources.hub).into();
        }
        out::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells =
        |row: CardRow| [row.name.into(), row.value, row.source].map(|text| words::name(&text).into_owned()).to_vec();
    let hub = (!card.sources.hub.is_empty()).then(|| {
        let row = CardRow { name: "weights", value: card.sources.hub.to_string(), source: "hub".into() };
        cells(row)
    });
    let rows = hub.into_iter().chain(rows(&card).into_iter().map(cells)).collect();
    tables::as_table(&["value", &words::name(&card.name), "from"], rows)
}

/// The card of the network given by the arguments. An architecture without weights is described without opening any weight file.
fn network(host: &Host, args: &CardArgs) -> Result<Card> {
    let flags = args.card.values()?;
    if let (Some(name), None) = (&args.model, &args.weights)
        && let sources = sources_without_weights(name, &flags)?
        && let Ok((card, _)) = open::architectures(host).build_with(name, &sources)
    {
        return Ok(card);
    }
    let network = (args.model.as_deref(), args.weights.as_deref());
    Ok((*open::quietly(host, network, &flags)?.card).clone())
}

/// Writes all values next to the network's file. Errors if there is no such file, or if the card exists and `--force` is not given.
fn write(card: &Card, args: &CardArgs) -> Result<PathBuf> {
    let given = args.weights.as_deref().or(args.model.as_deref().map(Path::new));
    let of_hub = given.and_then(Path::to_str).is_some_and(is_hub_name);
    ensure!(!of_hub, "--write cannot save a card in a hub's cache; set the values with flags instead");
    let network = given.map(|path| split(path).0).filter(|path| path.exists());
    let network = network.context(
        "--write saves the card next to the network's file, but this network has no file; give a weight file with -w",
    );
    let file = path_beside(&network.map_err(usage::usage)?);
    ensure!(args.force || !file.exists(), "writing the card: \"{}\" exists; --force replaces it", words::path(&file));
    let text = words::json(&own_json(&card.values_from(|_| true)));
    write_whole(&file, (text + "\n").as_bytes()).map_err(|why| anyhow!("writing the card: {why:#}"))?;
    Ok(file)
}
