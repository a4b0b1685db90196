//! Opens what the arguments specify: script folders, model, picture, session.

use super::args::{HostArgs, NetworkArgs, QuestionArgs};
use super::download::DownloadProgress;
use super::out;
use super::run_options::run_options;
use super::usage::usage;
use crate::data::{Picture, source};
use crate::hub::{HubName, is_hub_name};
use crate::model::card::CardValues;
use crate::model::{Ablation, Model};
use crate::script::architecture::Architectures;
use crate::script::folders::Folders;
use crate::script::host::Host;
use crate::script::method::data::Data;
use crate::script::session::Session;
use crate::script::summary::Report;
use crate::words;
use anyhow::{Context, Result, anyhow, ensure};
use directories::ProjectDirs;
use std::path::{Path, PathBuf};

/// Name of the built-in network.
pub const OWN_MODEL: &str = "shapes";

/// Creates a host for the given script folders, device and precision. Errors if a folder or the device does not exist.
pub fn host(args: &HostArgs) -> Result<Host> {
    for (option, folder) in [("--plugins", &args.plugins), ("--models", &args.models)] {
        if let Some(folder) = folder.as_ref().filter(|f| !f.is_dir()) {
            return Err(usage(anyhow!("{option}: there is no folder \"{}\"", words::path(&folder))));
        }
    }
    let (plugins, models) = (Folders::plugins(args.plugins.as_deref()), Folders::models(args.models.as_deref()));
    let host = Host::with_options(plugins, models, run_options(args)?);
    if let Some(folder) = place("GRADSCOPE_CACHE", |d| d.cache_dir().into()) {
        host.guard().keep_in(folder);
    }
    Ok(host)
}

/// The path in an environment variable, or the default path from `own` if the variable is not set; `None` if the variable is empty.
pub fn place(variable: &str, own: impl Fn(&ProjectDirs) -> PathBuf) -> Option<PathBuf> {
    match std::env::var_os(variable) {
        Some(place) => (!place.is_empty()).then(|| place.into()),
        None => ProjectDirs::from("", "", "gradscope").map(|dirs| own(&dirs)),
    }
}

/// The architectures available to a host.
pub fn architectures(host: &Host) -> Architectures {
    let downloads = DownloadProgress::default();
    Architectures::new(host.models().clone(), host.guard()).with_downloads(move |transfer| downloads.show(transfer))
}

/// Opens the network specified by the arguments. Without a name, the weight file determines the architecture; without either, the
/// built-in network is opened.
pub fn model(host: &Host, network: &NetworkArgs) -> Result<Model> {
    model_with(host, (network.model.as_deref(), network.weights.as_deref()), &network.card.values()?)
}

/// Like [`model`], given a network's name and weights and the card values set by flags.
pub fn model_with(host: &Host, network: (Option<&str>, Option<&Path>), flags: &CardValues) -> Result<Model> {
    let model = quietly(host, network, flags)?;
    model.note().iter().for_each(|note| out::tell(note));
    Ok(model)
}

/// Like [`model_with`], without notes for the user.
pub fn quietly(host: &Host, network: (Option<&str>, Option<&Path>), flags: &CardValues) -> Result<Model> {
    let architectures = architectures(host);
    match network {
        (Some(name), weights) => {
            if is_hub_name(name) {
                name.parse::<HubName>().map_err(usage)?;
            }
            let known = || is_hub_name(name) || name.contains(['/', '.']) || architectures.build(name).is_ok();
            architectures.open_with(name, weights, flags).map_err(|e| if known() { e } else { of_name(e) })
        }
        (None, Some(file)) => architectures.tell_with(file, flags),
        (None, None) => architectures.open_with(OWN_MODEL, None, flags),
    }
}

/// Turns an error about an unknown name into a usage error; errors in scripts stay as they are.
fn of_name(error: anyhow::Error) -> anyhow::Error {
    if error.chain().any(|e| e.is::<Report>()) { error } else { usage(error) }
}

/// Opens a picture and returns it with its name. If `name` is `None`, opens an example picture that suits the model.
pub fn picture(name: Option<&str>, model: &Model) -> Result<(String, Picture)> {
    source::picture(name.unwrap_or_else(|| &model.card.picture))
}

/// Creates a session and sets its method, parameters, data set and target class.
pub fn session(
    host: &Host,
    model: Model,
    picture: (&str, &Picture),
    method: &str,
    q: &QuestionArgs,
) -> Result<Session> {
    let (name, picture) = picture;
    let running = || format!("running {} on \"{name}\"", model.card.name);
    let preparing = || format!("preparing \"{name}\" for {}", model.card.name);
    let input = model.card.preprocess().apply(picture, q.no_resize).with_context(preparing)?;
    let method = host.method(method).map_err(of_name)?;
    let mut session = Session::new(host, model.clone(), name, input).with_context(running)?;
    session.open(method);
    session.set_seed(q.seed);
    if let Some(spec) = &q.data {
        let data = Data::named(spec);
        data.get()?;
        session.set_data(data);
    }
    let units = q.ablate.iter().map(|units| Ablation::parse_list(units)).collect::<Result<Vec<_>>>().map_err(usage)?;
    session.set_ablations(units.concat()).map_err(usage)?;
    if let Some(target) = &q.target {
        session.set_target_text(target).map_err(usage)?;
    }
    for pair in &q.set {
        set(&mut session, pair).map_err(usage)?;
    }
    Ok(session)
}

fn set(session: &mut Session, pair: &str) -> Result<()> {
    let parts = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    let (name, value) = parts.with_context(|| format!("--set {pair}: expected name=value"))?;
    ensure!(!name.is_empty(), "--set {pair}: expected name=value");
    session.set(name, value).with_context(|| format!("--set {pair}"))
}
