//! What can be said on the command line.

use super::deadline::Deadline;
use crate::memory::MemorySize;
use crate::train::{Init, Optimizer, Schedule};
use crate::tui::Graphics;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args as Group, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  gradscope                                            the app, on a network and a picture of its own
  gradscope -m squeezenet1_0 -w squeezenet.pth -i dog.jpg
  gradscope run gradcam -t star                        a heatmap for the class \"star\", drawn in the terminal
  gradscope run fgsm -i dog.png -m resnet18 -w resnet18.pth --set epsilon=8 --out result
  gradscope run my_rule.rhai                           a method of your own; `gradscope methods` lists those there are
  gradscope eval -m resnet20 -w resnet20.th --data cifar10:test_batch.bin";

/// An oscilloscope for neural networks: see what a network looks at, write attribution rules as scripts, step through
/// attacks. Without a command the app opens.
#[derive(Parser, Debug)]
#[command(name = "gradscope", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    /// Where to compute: cpu, cuda:0 or metal, where the build has them
    #[arg(long, value_name = "DEVICE", default_value = "cpu", global = true)]
    pub device: String,
    /// Memory that the program may hold, as 4G or 512M [default: half of what the machine has left, or what its limits leave]
    ///
    /// Control groups and `ulimit -v` are known and hold in any case. What would need more ends with an error that says so.
    #[arg(long, value_name = "SIZE", global = true)]
    pub memory: Option<MemorySize>,
    #[command(flatten)]
    pub scripts: ScriptArgs,
    #[command(flatten)]
    pub question: QuestionArgs,
    #[command(flatten)]
    pub app: AppArgs,
}

impl Args {
    /// The arguments of this process. Options of the app in front of a command are an error: the command would not get them.
    pub fn of_process() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os())
    }

    fn of(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some((name, _)) = matches.subcommand() {
            let given =
                |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
            let lost = command.get_arguments().filter(|arg| !arg.is_global_set()).find(given).map(ToString::to_string);
            if let Some(arg) = lost {
                let why = format!("write {arg} after \"{name}\"; before a command it has no effect");
                return Err(command.error(ErrorKind::ArgumentConflict, why));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

#[derive(Subcommand, Debug)]
pub enum CliCommand {
    /// Run a method on a picture: figures in the terminal, or files with --out
    Run(RunArgs),
    /// Run a program: a script of several runs, trainings and tables
    Exec(ExecArgs),
    /// List the methods
    Methods(TableArgs),
    /// List the network architectures
    Models(TableArgs),
    /// List the layers of a network
    Layers(LayersArgs),
    /// List the classes of a network
    Classes(LayersArgs),
    /// Measure the accuracy of a network on a data set
    Eval(EvalArgs),
    /// Train a small network on a data set
    Train(TrainArgs),
    /// Begin a method of your own: a script that runs as it is
    New(NewArgs),
    /// List what scripts can call, or what has a word in it
    Api(ApiArgs),
    /// Check scripts: compile them and run them on the program's own network
    Check(CheckArgs),
    /// Check this build's methods against numbers of PyTorch and of files of cases, in f64 and f32
    Selftest(SelftestArgs),
    /// Print a completion script for a shell
    ///
    /// For bash: `gradscope completions bash > ~/.local/share/bash-completion/completions/gradscope`. For zsh, save it as `_gradscope` in a
    /// folder of `$fpath`; for fish, as `~/.config/fish/completions/gradscope.fish`.
    Completions(CompletionsArgs),
    /// Write man pages, one per command
    Man(ManArgs),
}

/// Where scripts are.
#[derive(Group, Debug, Default)]
pub struct ScriptArgs {
    /// Folder of methods that come before ./plugins, the user's and the program's own
    #[arg(long, value_name = "DIR", global = true)]
    pub plugins: Option<PathBuf>,
    /// Folder of architectures that come before ./models, the user's and the program's own
    #[arg(long, value_name = "DIR", global = true)]
    pub models: Option<PathBuf>,
}

/// A network.
#[derive(Group, Debug, Default)]
pub struct NetworkArgs {
    /// Architecture (see `gradscope models`), a .rhai file with one, or a weight file whose tensors tell it
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Weights: .safetensors or a PyTorch file; of several state dicts in it, FILE:KEY takes one
    ///
    /// Shards are opened by their index (*.index.json), by its folder, or by one of them. Prefixes that all names share, and
    /// `module.` or `_orig_mod.` within names, are taken off. Of several state dicts that fit, the network itself comes before
    /// averages of it; a line says what was taken.
    #[arg(short, long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,
    /// Sum 3x3 convolutions directly: slower, and rounded less than by Winograd's transforms, for comparing tightly
    #[arg(long)]
    pub exact: bool,
}

/// A network, pictures, and a class.
#[derive(Group, Debug, Default)]
pub struct QuestionArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Picture: png, jpeg, webp, gif, bmp, .npy (its size is kept; floats from 0 to 1, or whole numbers from 0 to 255), or one of a data set: made:shapes[3]
    #[arg(short = 'i', long = "input", value_name = "PICTURE", value_hint = ValueHint::FilePath)]
    pub pictures: Vec<String>,
    /// Class that is asked about, by index or name; without it, what the network says
    #[arg(short, long, value_name = "CLASS")]
    pub target: Option<String>,
    /// Take pictures as they are, neither scaled nor cut
    #[arg(long)]
    pub no_resize: bool,
    /// Parameter of the method, name=value; `gradscope methods` lists them
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Data set, for methods that ask one: mnist:DIR, cifar10:FILE, folder:DIR, made:NAME
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// Seed of random numbers
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
}

/// How the app is run.
#[derive(Group, Debug, Default)]
pub struct AppArgs {
    /// Method that the app begins with
    ///
    /// Without it and without a model, picture or target, the app opens what it last showed.
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Open the session of this name, and keep it there; without it the last one
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Open the program's own network and picture, not what was last shown
    #[arg(long)]
    pub fresh: bool,
    /// How pictures are drawn in the terminal; auto: as config.rhai says, else the best way that the terminal knows
    #[arg(long, value_enum, default_value_t = Graphics::Auto)]
    pub graphics: Graphics,
}

#[derive(Group, Debug)]
pub struct RunArgs {
    /// Method, or a .rhai file with one
    #[arg(value_name = "METHOD")]
    pub method: String,
    #[command(flatten)]
    pub question: QuestionArgs,
    /// Steps of a stepped method; without it, until it is done (an attack: at most 100)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Folder for the figures as PNG, their raw values as .npy, and result.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// File for all figures on one sheet, a .png
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// File for the steps of a stepped method as a film, a .gif
    #[arg(long, value_name = "FILE")]
    pub film: Option<PathBuf>,
    /// Go on from where a run of the same question into --out was ended
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Print result.json instead of figures
    #[arg(long)]
    pub json: bool,
    /// End after this time, in seconds or as 10m or 2h, with what was kept so far, and exit code 1
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// How pictures are drawn in the terminal; auto: as config.rhai says, else the best way that the terminal knows
    #[arg(long, value_enum, default_value_t = Graphics::Auto)]
    pub graphics: Graphics,
}

#[derive(Group, Debug)]
pub struct ExecArgs {
    /// End after this time, in seconds or as 10m or 2h, before the script's name: what stands behind it are its arguments
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Program, a .rhai file; what it prints goes to stdout
    #[arg(value_name = "SCRIPT")]
    pub script: PathBuf,
    /// Its arguments, the array `args` in the script
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<String>,
}

#[derive(Group, Debug)]
pub struct TableArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct LayersArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct EvalArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Data set: mnist:DIR, cifar10:FILE, folder:DIR, made:NAME (digits, shapes, moons, waves, words)
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct TrainArgs {
    /// Architecture (see `gradscope models`), or a .rhai file with one
    #[arg(short, long, value_name = "MODEL")]
    pub model: String,
    /// Weights to begin from; without them, drawn ones
    #[arg(short, long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,
    /// Data set to learn from: mnist:DIR and made:NAME give their training part; cifar10:FILE, folder:DIR
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    /// Data set to test with; without it, the test part of the data set, if it has one
    #[arg(long, value_name = "SPEC")]
    pub test: Option<String>,
    /// File for the weights; without it, MODEL.safetensors
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on with a training that was interrupted; its options hold
    #[arg(long)]
    pub resume: bool,
    /// How often each picture is seen
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub epochs: usize,
    /// Pictures of one step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub rate: f64,
    /// adam, sgd (momentum 0.9), nesterov or adadelta
    #[arg(long, value_name = "NAME", default_value = "adam")]
    pub optimizer: Optimizer,
    /// How the rate changes: constant, cosine, onecycle (up for two fifths, then down), step:N (a tenth after every N
    /// epochs), or decay:G (G times after each)
    #[arg(long, value_name = "NAME", default_value = "cosine")]
    pub schedule: Schedule,
    /// Penalty on large weights
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0)]
    pub weight_decay: f64,
    /// How first weights are drawn: he or torch
    #[arg(long, value_name = "NAME", default_value = "he")]
    pub init: Init,
    /// Seed of weights, order and shifts
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
    /// Move pictures by up to this many pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub shift: usize,
    /// Attack pictures within this many 1/255 and learn from these too: FGSM, or PGD with more steps
    #[arg(long, value_name = "EPSILON", allow_negative_numbers = true)]
    pub adversary: Option<f64>,
    /// Steps of the attack
    #[arg(long, value_name = "N", default_value_t = 1, requires = "adversary")]
    pub attack_steps: usize,
    /// Length of a step in 1/255; without it 1.25 epsilon for one step from a random start, epsilon for one from the
    /// picture, 2.5 epsilon / steps for several
    #[arg(long, value_name = "SIZE", requires = "adversary")]
    pub attack_step: Option<f64>,
    /// Begin the attack at a random point
    #[arg(long, requires = "adversary")]
    pub random_start: bool,
    /// Share of the loss on pictures as they are, alpha of alpha J(x) + (1 - alpha) J(attacked x)
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, requires = "adversary")]
    pub alpha: f64,
    /// Epochs in which the attack grows from nothing; a large one from the start may teach nothing
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.0, requires = "adversary")]
    pub warmup: f64,
    /// End after this many epochs without a better result on the test set, with the weights of the best; 0: never
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    pub patience: usize,
    /// Mirror half of the pictures
    #[arg(long)]
    pub flip: bool,
    /// Side of the pictures, for networks that take any; without it, the network's own
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(8..=4096))]
    pub size: Option<u16>,
    /// Teach a network that draws (-m style_transformer) the style of this painting, in place of labels
    #[arg(long, value_name = "PICTURE", requires = "critic_weights")]
    pub style: Option<String>,
    /// Network whose features content and style are compared by
    #[arg(long, value_name = "MODEL", default_value = "squeezenet1_0")]
    pub critic: String,
    /// Its weights
    #[arg(long, value_name = "WEIGHTS", requires = "style")]
    pub critic_weights: Option<PathBuf>,
    /// Weight of the style; the content's is 1
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, requires = "style")]
    pub style_weight: f64,
    /// Weight of total variation
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, requires = "style")]
    pub variation: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct NewArgs {
    /// Its name: letters, digits, - and _
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What to begin from: map (a gradient's heatmap), rule (relevance by rules), attack (a step along the gradient)
    #[arg(long, value_name = "KIND", default_value = "map")]
    pub from: Template,
}

/// What a new method begins from.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Template {
    Map,
    Rule,
    Attack,
}

#[derive(Group, Debug)]
pub struct ApiArgs {
    /// Words that it has in it: `gradscope api gaussian`
    #[arg(value_name = "SEARCH")]
    pub search: Vec<String>,
    /// Write definition files for editors with rhai's language server into this folder
    #[arg(long, value_name = "DIR")]
    pub definitions: Option<PathBuf>,
}

#[derive(Group, Debug)]
pub struct SelftestArgs {
    /// File of cases to compute instead of those in the program
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// Cases of this method only
    #[arg(long, value_name = "NAME", requires = "cases")]
    pub method: Option<String>,
    /// Print JSON, one entry a case
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Group, Debug)]
pub struct ManArgs {
    /// Folder for the pages
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

#[derive(Group, Debug)]
pub struct CheckArgs {
    /// End after this time, in seconds or as 10m or 2h, and tell what was running
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Methods, or .rhai files
    #[arg(value_name = "PLUGIN", required = true)]
    pub methods: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_before_a_command_are_refused_unless_they_hold_for_all_commands() {
        let parse = |line: &str| Args::of(line.split(' '));
        let said = |line| parse(line).unwrap_err().to_string();
        assert!(said("gradscope --exact run gradcam").contains("write --exact after \"run\""));
        assert!(
            said("gradscope -i dog.png --seed 3 eval --data made:shapes")
                .contains("write --input <PICTURE> after \"eval\"")
        );
        assert!(parse("gradscope --device cpu --plugins mine run gradcam --exact").is_ok());
        assert!(parse("gradscope --exact -i dog.png").is_ok());
    }
}
