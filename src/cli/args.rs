//! The command line's arguments, parsed by clap; their doc comments are the help texts.

use super::deadline::Deadline;
use crate::data::Interpolation;
use crate::memory::MemorySize;
use crate::model::card::{CardValues, ChannelOrder, Crop, Given, InputSize, PerChannel, Source, names_of_file};
use crate::script::session::CommandLine;
use crate::train::{Init, Optimizer, Schedule};
use crate::tui::Graphics;
use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args as Group, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// Name of the program, as the first word of recorded command lines.
const PROGRAM: &str = "gradscope";

const EXAMPLES: &str = "\
Examples:
  gradscope                                            open the app with the built-in network and picture
  gradscope -m squeezenet1_0 -w squeezenet.pth -i dog.jpg
  gradscope run gradcam -t star                        draw a heatmap for the class \"star\" in the terminal
  gradscope -m hf:timm/resnet50.a1_in1k -i dog.jpg     download a network, or open it from the cache
  gradscope run fgsm -i dog.png -m resnet18 -w resnet18.pth --set epsilon=8 --out result
  gradscope run my_rule.rhai                           run your own method; `gradscope methods` lists all methods
  gradscope methods fgsm                               describe a method and its parameters
  gradscope rerun result/result.json                   repeat a result and compare the numbers
  gradscope eval -m resnet20 -w resnet20.th --data cifar10:test_batch.bin";

const RUN_EXAMPLES: &str = "\
Examples:
  gradscope run gradcam -t star                        draw a heatmap for the class \"star\" in the terminal
  gradscope run gradcam -i dog.jpg -m resnet18 -w resnet18.pth --out result
  gradscope run fgsm -i dog.jpg --set epsilon=8 --set norm=l2 --film attack.gif
  gradscope run robustness --data cifar10:test_batch.bin --out sweep
  gradscope run robustness --data cifar10:test_batch.bin --out sweep --resume    continue after Ctrl-C
  gradscope run saliency -i a.png -i b.png --out both  a folder for each picture
  gradscope run pca --json | jq .parameters            the result as JSON, without files";

const RERUN_EXAMPLES: &str = "\
Examples:
  gradscope rerun result                               repeat result/result.json and compare the numbers
  gradscope rerun result/result.json --out again       keep the new result
  gradscope rerun result --precision f64               how far apart are the numbers in f64?
  gradscope run fgsm --json > fgsm.json && gradscope rerun fgsm.json";

const METHODS_EXAMPLES: &str = "\
Examples:
  gradscope methods                                    all methods, one per line
  gradscope methods fgsm                               what it shows, its parameters, an example
  gradscope methods my_rule.rhai
  gradscope methods fgsm --json | jq '.[0].parameters'";

const TEST_EXAMPLES: &str = "\
Examples:
  gradscope new test looks                             write looks.rhai, to start from
  gradscope test looks.rhai -m resnet18 -w last.pth
  gradscope test looks.rhai --junit report.xml         for CI services
  gradscope test looks.rhai --update                   write the golden maps anew
  gradscope test looks.rhai --only star --json | jq .failed";

const BISECT_EXAMPLES: &str = "\
Examples:
  gradscope bisect runs --test looks.rhai              weights written by gradscope name their architecture
  gradscope bisect 'runs/epoch-*.pth' --test looks.rhai -m resnet18
  gradscope bisect runs --test looks.rhai --log bisect.json    continue after Ctrl-C";

const CONFIG_EXAMPLES: &str = "\
Examples:
  gradscope config --path                              where the file is, or would be
  gradscope config --print > new.rhai                  all settings, to edit and move to that path
  $EDITOR \"$(gradscope config --path)\"

The shell empties the file after > before gradscope reads it, so print to another file than the configuration itself.";

/// An oscilloscope for neural networks: see what a network looks at, write attribution rules as scripts, step through
/// attacks. Without a command, gradscope opens the app.
#[derive(Parser, Debug)]
#[command(name = "gradscope", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    /// Memory limit, such as 4G or 512M [default: half of the free memory, or less if the system's limits require it]
    ///
    /// Limits set by control groups and `ulimit -v` always apply. An operation that would exceed the limit fails with an error.
    #[arg(long, value_name = "SIZE", global = true)]
    pub memory: Option<MemorySize>,
    #[command(flatten)]
    pub host: HostArgs,
    #[command(flatten)]
    pub question: QuestionArgs,
    #[command(flatten)]
    pub app: AppArgs,
}

impl CardFlags {
    /// The values set by the flags. Errors if the class names cannot be read.
    pub fn values(&self) -> Result<CardValues> {
        fn flag<T: Clone>(value: Option<&T>) -> Option<Given<T>> {
            Some(Given { value: value?.clone(), source: Source::Flag })
        }
        let labels = self.labels.as_ref().map(|file| names_of_file(file)).transpose().context("--labels")?;
        Ok(CardValues {
            size: flag(self.size.as_ref()),
            crop: flag(self.crop.as_ref()),
            interpolation: flag(self.interpolation.as_ref()),
            mean: flag(self.mean.as_ref()),
            std: flag(self.std.as_ref()),
            labels: flag(labels.as_ref()),
            channel_order: flag(self.channel_order.as_ref()),
            output: flag(self.output.as_ref()),
        })
    }

    /// Whether no flag is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl HostArgs {
    /// The arguments that differ from the defaults.
    pub fn words(&self) -> Vec<String> {
        let folder =
            |flag: &str, folder: &Option<PathBuf>| Some([flag.into(), folder.as_ref()?.to_string_lossy().into_owned()]);
        let text = |flag: &str, text: &str, default| (text != default).then(|| [flag.into(), text.into()]);
        let pairs = [
            folder("--plugins", &self.plugins),
            folder("--models", &self.models),
            text("--device", &self.device, "cpu"),
            text("--precision", &self.precision, "f32"),
        ];
        pairs.into_iter().flatten().flatten().chain(self.exact.then(|| "--exact".into())).collect()
    }
}

impl Args {
    /// Parses the arguments of this process. An app option before a command is an error, because the command would ignore it.
    pub fn of_process() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os())
    }

    /// Parses arguments; the first word is the program's name.
    pub fn of(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(&words)?;
        if let Some((name, _)) = matches.subcommand() {
            let given =
                |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
            let lost = command.get_arguments().filter(|arg| !arg.is_global_set()).find(given).map(ToString::to_string);
            if let Some(arg) = lost {
                let why = format!("write {arg} after \"{name}\"; before a command it has no effect");
                return Err(command.error(ErrorKind::ArgumentConflict, why));
            }
        }
        let mut args = Self::from_arg_matches(&matches)?;
        if let Some(CliCommand::Run(run)) = &mut args.command {
            let arguments = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
            run.command.words = std::iter::once(PROGRAM.to_string()).chain(arguments).collect();
            run.command.folder = std::env::current_dir().ok();
        }
        Ok(args)
    }
}

#[derive(Subcommand, Debug)]
pub enum CliCommand {
    /// Run a method on a picture and draw its figures in the terminal, or write them to files with --out
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Repeat the command of a result.json and compare the numbers
    ///
    /// Runs the recorded command with the same seed, in the folder in which it was run if that exists, and compares each figure, the
    /// classes and the steps with the recorded ones: identical to the last bit, or how far apart. Warns if the version, the weights,
    /// the script, the picture, the device or the number of threads differ. The exit code is 0 if all numbers are the same, and 1 if
    /// not.
    ///
    /// --device, --precision and --exact override the recorded ones.
    #[command(after_help = RERUN_EXAMPLES)]
    Rerun(RerunArgs),
    /// Run a program: a script that combines runs, training and tables
    Exec(ExecArgs),
    /// List the methods, or describe one: what it shows, its parameters, its source
    #[command(after_help = METHODS_EXAMPLES)]
    Methods(MethodsArgs),
    /// List the network architectures
    Models(TableArgs),
    /// List the layers of a network, or its modules
    ///
    /// One line per layer: name, kind, output shape and number of parameters. --set layer= accepts any of these names. It also
    /// accepts the name of a module, which refers to the module's output.
    Layers(LayerListArgs),
    /// List the classes of a network
    Classes(LayersArgs),
    /// Show a network's preprocessing and class names, and where each value comes from
    ///
    /// Sources, in order of precedence: the flags below; NAME.card.json next to the weights NAME.pth (or NAME.onnx, …); timm's
    /// config.json; Hugging Face's preprocessor_config.json and config.json; the file itself (metadata of ONNX files, class names
    /// of trained weights); the architecture. If a graph file has none of these sources, ImageNet's values are used, and a note
    /// is shown.
    ///
    /// A card file may contain the keys size (224 or [H, W]), crop (0.875, 256 or null), interpolation, mean, std, labels,
    /// channel_order and output.
    Card(CardArgs),
    /// Measure the accuracy of a network on a data set
    Eval(EvalArgs),
    /// Train a small network on a data set
    Train(TrainArgs),
    /// Check what a network looks at: run the tests in a file, for CI
    ///
    /// A file of tests is a program (see `gradscope exec`) that calls `test(name, options)`. Each test runs a method on a picture, and
    /// states what is expected of its map, the classes or a data set:
    ///
    /// test("the star is recognized by the star", #{ method: "gradcam", input: "made:welcome[0]", target: "star", expect: #{ share: #{
    /// inside: [64, 40, 128, 128], at_least: 0.6 } } });
    ///
    /// The options are those of `run` in programs: method, input, target, set, steps, seed, data, model; `figure` names another figure than
    /// the first map. `--expectations` lists what can be expected. Paths are relative to the current folder. The exit code is 1 if a test
    /// fails; its figures are written to --out.
    #[command(after_help = TEST_EXAMPLES)]
    Test(TestArgs),
    /// Find the checkpoint of a training at which tests begin to fail
    ///
    /// Tests the first and the last checkpoint, then halves the interval between one that passes and one that fails: for n checkpoints, at
    /// most log2(n) + 2 are tested. If the tests begin to fail several times, it finds one of these times. The exit code is 1 if the first
    /// checkpoint fails already or the last one still passes.
    ///
    /// `gradscope train --checkpoints RUNS` writes a checkpoint after each epoch.
    #[command(after_help = BISECT_EXAMPLES)]
    Bisect(BisectArgs),
    /// Create a method, or a file of tests, from a working template
    New(NewArgs),
    /// List the functions that scripts can call, or search them
    Api(ApiArgs),
    /// Print the configuration, or the path of its file
    ///
    /// The configuration sets key bindings, colors, and how pictures are drawn. A mistake in it is reported with its line, and the
    /// rest is used.
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArgs),
    /// Check scripts: compile them and run them on the built-in network
    Check(CheckArgs),
    /// Check this build's methods against reference values from PyTorch and other libraries, in f64 and f32
    Selftest(SelftestArgs),
    /// Print a completion script for a shell
    ///
    /// For bash: `gradscope completions bash > ~/.local/share/bash-completion/completions/gradscope`. For zsh, save the script as
    /// `_gradscope` in a folder of `$fpath`; for fish, as `~/.config/fish/completions/gradscope.fish`.
    Completions(CompletionsArgs),
    /// Write man pages, one per command
    Man(ManArgs),
}

/// Script folders, and the device and precision of computations.
#[derive(Group, Clone, Debug)]
pub struct HostArgs {
    /// Folder of methods, searched before ./plugins, the user's folder and the built-in methods
    #[arg(long, value_name = "DIR", global = true)]
    pub plugins: Option<PathBuf>,
    /// Folder of architectures, searched before ./models, the user's folder and the built-in architectures
    #[arg(long, value_name = "DIR", global = true)]
    pub models: Option<PathBuf>,
    /// Device for computations: cpu, cuda:0 or metal; cuda and metal require a build that supports them
    #[arg(long, value_name = "DEVICE", default_value = "cpu", global = true)]
    pub device: String,
    /// Precision of weights and computations: f32, f64, tf32 (CUDA only), bf16 or f16
    ///
    /// bf16 and f16 halve the memory of the weights; values and sums stay f32. On CPUs with AVX512-BF16, bf16 also rounds the factors of
    /// products, which is faster; AMX is not used yet. f64 is for checking results and is much slower than f32.
    #[arg(long, value_name = "DTYPE", default_value = "f32", global = true)]
    pub precision: String,
    /// Compute convolutions directly instead of with Winograd transforms: slower, but with smaller rounding errors
    #[arg(long, global = true)]
    pub exact: bool,
}

/// The network to open.
#[derive(Group, Debug, Default)]
pub struct NetworkArgs {
    /// Architecture (see `gradscope models`), a .rhai file that defines one, a weight file (its architecture is detected), an
    /// exported graph (.onnx, .pt2), or a network on a hub: hf:OWNER/NAME, timm:NAME.TAG or torchvision:NAME
    ///
    /// Networks on hubs, such as hf:timm/resnet50.a1_in1k or torchvision:resnet50, are looked up in the caches of the Python
    /// libraries and downloaded if they are missing. @REVISION after the name selects a branch, tag or commit; for torchvision it
    /// selects the weights, as in torchvision:resnet50@IMAGENET1K_V1. HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN
    /// and TORCH_HOME are respected.
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Weights: a .safetensors or PyTorch file, or a hub name as for -m; FILE:KEY selects one of several state dicts
    ///
    /// For sharded weights, give the index (*.index.json), its folder, or any shard. Prefixes shared by all parameter names are
    /// removed, and so are `module.` and `_orig_mod.` within names. If several state dicts fit, the network's own weights are
    /// preferred over averaged copies, and a note names the state dict that was used.
    #[arg(short, long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub card: CardFlags,
}

/// Preprocessing and class names. Values without a flag come from a card file next to the weights, from the model file, or from the
/// architecture.
#[derive(Group, Debug, Default, PartialEq)]
#[command(next_help_heading = "Preprocessing and class names")]
pub struct CardFlags {
    /// Mean for normalization of pixels in [0, 1]: one value, or one per channel, as in 0.485,0.456,0.406
    #[arg(long, value_name = "NUMBERS", value_parser = PerChannel::mean, allow_hyphen_values = true)]
    pub mean: Option<PerChannel>,
    /// Standard deviation for normalization of pixels in [0, 1], as in 0.229,0.224,0.225
    #[arg(long, value_name = "NUMBERS", value_parser = PerChannel::std)]
    pub std: Option<PerChannel>,
    /// Input size in pixels: 224, or HxW
    #[arg(long, value_name = "SIZE")]
    pub size: Option<InputSize>,
    /// Center crop: a fraction of the shorter side (0.875), the length of the shorter side in pixels before the crop (256), or none
    /// to resize the entire picture
    #[arg(long, value_name = "CROP")]
    pub crop: Option<Crop>,
    /// Interpolation for resizing: bilinear, bicubic or lanczos, all antialiased, or nearest
    #[arg(long, value_name = "NAME")]
    pub interpolation: Option<Interpolation>,
    /// Class names: a text file with one name per line, or a JSON list or object
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
    /// Channel order that the network expects: rgb, or bgr for networks from Caffe or OpenCV [default: rgb]. Means and standard
    /// deviations are always in RGB order
    #[arg(long, value_name = "ORDER")]
    pub channel_order: Option<ChannelOrder>,
    /// Output to use if an .onnx or .pt2 file has several [default: the first one]
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

/// The network, the pictures, the target class and the parameters of a run.
#[derive(Group, Debug, Default)]
pub struct QuestionArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Picture: png, jpeg, webp, gif, bmp, .npy (used at its original size; floats from 0 to 1 or integers from 0 to 255), or one
    /// from a data set, such as made:shapes[3]
    #[arg(short = 'i', long = "input", value_name = "PICTURE", value_hint = ValueHint::FilePath)]
    pub pictures: Vec<String>,
    /// Target: a class by index or name, or an expression of the output [default: the predicted class]
    ///
    /// A class, a sum or difference ("tabby - tiger cat"), a position in the picture ("person @ 120,80", or the corners of
    /// a box "person @ 10,10,60,90", in pixels of the network's input), a masked region ("person in mask.png"), the maximum over
    /// all positions or boxes ("max face"), an output value ("output 3"), or the similarity of the output to the output for another
    /// picture ("like:other.jpg") or to an embedding ("text:embeddings.npy[0]").
    #[arg(short, long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Set a channel, attention head or token to zero before running, such as features.12:channel=7; repeatable
    ///
    /// LAYER:channel=N, LAYER:head=N or LAYER:token=N, with one index or several ("blocks.3.attn:head=0,5"). LAYER is a layer or module as
    /// in `gradscope layers`.
    #[arg(long, value_name = "UNIT")]
    pub ablate: Vec<String>,
    /// Use pictures at their original size, without scaling or cropping
    #[arg(long)]
    pub no_resize: bool,
    /// Set a parameter of the method; `gradscope methods` lists them
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Data set, for methods that need one: a folder or file whose format is detected, or made:NAME; see `gradscope eval --help`
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
}

/// Options of the app.
#[derive(Group, Debug, Default)]
pub struct AppArgs {
    /// Initial method
    ///
    /// Without a method, model, picture or target, the app restores its last session.
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Session to restore and save [default: last]
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Start with the built-in network and picture instead of restoring the session
    #[arg(long)]
    pub fresh: bool,
    /// How to draw pictures in the terminal; auto: as set in config.rhai, or else the best protocol the terminal supports
    #[arg(long, value_enum, default_value_t = Graphics::Auto)]
    pub graphics: Graphics,
}

#[derive(Group, Debug)]
pub struct RunArgs {
    /// Method, or a .rhai file that defines one
    #[arg(value_name = "METHOD")]
    pub method: String,
    #[command(flatten)]
    pub question: QuestionArgs,
    /// Number of steps of a stepped method [default: until it is done; at most 100 for attacks]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Write figures as PNG, their raw values as .npy, and result.json to this folder
    ///
    /// result.json describes the run for a paper: command, version, date, device, hashes, parameters, classes and figures. A folder
    /// with the result of another command is refused unless --force is given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the result of another command in --out
    #[arg(long, requires = "out", conflicts_with = "resume")]
    pub force: bool,
    /// Write all figures as one contact sheet to this .png file
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// Write the steps of a stepped method to this .gif file, as an animation
    #[arg(long, value_name = "FILE")]
    pub film: Option<PathBuf>,
    /// Resume an interrupted run with the same arguments from its checkpoint in --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Print result.json instead of drawing figures
    #[arg(long)]
    pub json: bool,
    /// Stop after this time (seconds, or 10m, 2h) with exit code 1, keeping what was written so far
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Run the method in f32 as well, and report how well the result in the selected --precision agrees: correlation of the figures,
    /// top-1 class and logits
    #[arg(long)]
    pub check_precision: bool,
    /// How to draw pictures in the terminal; auto: as set in config.rhai, or else the best protocol the terminal supports
    #[arg(long, value_enum, default_value_t = Graphics::Auto)]
    pub graphics: Graphics,
    /// The command line itself, for result.json.
    #[arg(skip)]
    pub command: CommandLine,
    /// Whether to omit the messages about written files.
    #[arg(skip)]
    pub quiet: bool,
}

#[derive(Group, Debug)]
pub struct RerunArgs {
    /// A result.json written by `gradscope run --out` or printed by `gradscope run --json`, or its folder
    #[arg(value_name = "RESULT", value_hint = ValueHint::FilePath)]
    pub result: PathBuf,
    /// Write the new result to this folder [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace another result in --out
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct ExecArgs {
    /// Stop after this time (seconds, or 10m, 2h); must precede SCRIPT, because everything after SCRIPT is passed to the program
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Program: a .rhai file. Its output goes to stdout
    #[arg(value_name = "SCRIPT")]
    pub script: PathBuf,
    /// Arguments, available to the program as the array `args`
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
pub struct MethodsArgs {
    /// Method to describe, or a .rhai file that defines one; several are described one after the other
    #[arg(value_name = "METHOD")]
    pub methods: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
#[group(required = true, multiple = false)]
pub struct ConfigArgs {
    /// Print the path of the configuration file, whether or not it exists
    #[arg(long)]
    pub path: bool,
    /// Print the configuration as it is used, with all fields, roles and keys, and their defaults as comments
    #[arg(long)]
    pub print: bool,
}

#[derive(Group, Debug)]
pub struct LayerListArgs {
    #[command(flatten)]
    pub table: LayersArgs,
    /// List the modules instead, each with its output layer
    #[arg(long)]
    pub modules: bool,
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
pub struct CardArgs {
    /// Architecture, a .rhai file that defines one, a model or weight file, or a network on a hub [default: detected from -w]
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// Weights: a .safetensors or PyTorch file
    #[arg(short, long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub card: CardFlags,
    /// Save the values in NAME.card.json next to the weights; later runs use them
    #[arg(long)]
    pub write: bool,
    /// Replace an existing card file
    #[arg(long, requires = "write")]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct EvalArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Data set: a folder or file whose format is detected, or made:NAME
    ///
    /// A prefix sets the format: folder:DIR (one subfolder per class, or pictures with a list of their classes), csv:FILE (columns
    /// file and label), npz:FILE (arrays x and y), webdataset:TARS (shard-{000..009}.tar), parquet:PATH (columns image and label),
    /// mnist:DIR, cifar10:PATH, cifar100:PATH, made:NAME (digits, shapes, moons, waves, words). #train, #val or #test after the
    /// path selects a split. docs/data_sets.md shows each layout.
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct TrainArgs {
    /// Architecture (see `gradscope models`), or a .rhai file that defines one
    #[arg(short, long, value_name = "MODEL")]
    pub model: String,
    /// Initial weights; random if omitted
    #[arg(short, long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,
    /// Training set, as for `gradscope eval`; if the data set has splits, the training split is used
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    /// Test set [default: the test split of --data, if it has one]
    #[arg(long, value_name = "SPEC")]
    pub test: Option<String>,
    /// Write the weights to this file [default: MODEL.safetensors]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the weights to this folder before the first epoch and after each one, as epoch-0000.safetensors and so on
    #[arg(long, value_name = "DIR")]
    pub checkpoints: Option<PathBuf>,
    /// Resume interrupted training with the options it was started with
    #[arg(long)]
    pub resume: bool,
    /// Number of epochs
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub epochs: usize,
    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub rate: f64,
    /// Optimizer: adam, sgd (momentum 0.9), nesterov or adadelta
    #[arg(long, value_name = "NAME", default_value = "adam")]
    pub optimizer: Optimizer,
    /// Learning rate schedule: constant, cosine, onecycle (up over the first two fifths, then down), step:N (times 0.1
    /// every N epochs), or decay:G (times G every epoch)
    #[arg(long, value_name = "NAME", default_value = "cosine")]
    pub schedule: Schedule,
    /// Weight decay coefficient
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Weight initialization: he, or torch for PyTorch's default
    #[arg(long, value_name = "NAME", default_value = "he")]
    pub init: Init,
    /// Random seed for initialization, shuffling and augmentation
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
    /// Shift pictures at random by up to this many pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub shift: usize,
    /// Also train on adversarial pictures with this epsilon, in units of 1/255 (FGSM, or PGD with more than one step)
    #[arg(long, value_name = "EPSILON", allow_negative_numbers = true)]
    pub adversary: Option<f64>,
    /// Number of steps of the attack
    #[arg(long, value_name = "N", default_value_t = 1, requires = "adversary")]
    pub attack_steps: usize,
    /// Step size of the attack, in units of 1/255 [default: epsilon for one step, 1.25 epsilon for one step from a random
    /// start, 2.5 epsilon / steps for several]
    #[arg(long, value_name = "SIZE", requires = "adversary")]
    pub attack_step: Option<f64>,
    /// Start the attack at a random point within epsilon
    #[arg(long, requires = "adversary")]
    pub random_start: bool,
    /// Weight of the loss on clean pictures: alpha in alpha J(x) + (1 - alpha) J(attacked x)
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, requires = "adversary")]
    pub alpha: f64,
    /// Number of epochs over which epsilon grows from 0; training may fail if a large epsilon is used from the start
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.0, requires = "adversary")]
    pub warmup: f64,
    /// Stop early after this many epochs without improvement on the test set, and keep the best weights; 0: never
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    pub patience: usize,
    /// Flip pictures horizontally at random, with probability 1/2
    #[arg(long)]
    pub flip: bool,
    /// Side length of the pictures, for networks that accept any size [default: the network's input size]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(8..=4096))]
    pub size: Option<u16>,
    /// Train an image transformation network (-m style_transformer) to imitate the style of this painting, without labels
    #[arg(long, value_name = "PICTURE", requires = "critic_weights")]
    pub style: Option<String>,
    /// Network whose features are compared in the content and style losses
    #[arg(long, value_name = "MODEL", default_value = "squeezenet1_0")]
    pub critic: String,
    /// Weights of the critic
    #[arg(long, value_name = "WEIGHTS", requires = "style")]
    pub critic_weights: Option<PathBuf>,
    /// Weight of the style loss; the content loss has weight 1
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, requires = "style")]
    pub style_weight: f64,
    /// Weight of the total variation loss
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, requires = "style")]
    pub variation: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct TestArgs {
    /// File of tests
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Folder for the figures of failed tests
    #[arg(long, value_name = "DIR", default_value = "gradscope-test")]
    pub out: PathBuf,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write golden maps instead of comparing with them
    #[arg(long)]
    pub update: bool,
    /// Run only the tests whose names contain this text; repeatable
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// List what tests can expect
    #[arg(long)]
    pub expectations: bool,
    /// Stop after this time (seconds, or 10m, 2h) with exit code 1
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct BisectArgs {
    /// Folder of checkpoints, or a pattern of their names in quotes, such as 'runs/epoch-*.pth'; they are ordered by the numbers in their
    /// names
    #[arg(value_name = "RUNS", value_hint = ValueHint::AnyPath)]
    pub runs: PathBuf,
    /// File of tests, as for `gradscope test`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub test: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Record the outcomes in this file, and skip checkpoints whose outcome is recorded
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Stop after this time (seconds, or 10m, 2h) with exit code 1
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct NewArgs {
    /// Name of the method: letters, digits, - and _; or "test" and the name of a file of tests
    #[arg(value_name = "NAME", num_args = 1..=2, required = true)]
    pub names: Vec<String>,
    /// Template: map (heatmap of the gradient), rule (relevance propagation with rules), attack (steps along the gradient)
    #[arg(long, value_name = "KIND", default_value = "map")]
    pub from: Template,
}

/// The templates of `gradscope new`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Template {
    Map,
    Rule,
    Attack,
}

#[derive(Group, Debug)]
pub struct ApiArgs {
    /// A noun or search words: `gradscope api model`, `gradscope api gaussian`
    #[arg(value_name = "SEARCH")]
    pub search: Vec<String>,
    /// Write definition files for rhai's language server to this folder
    #[arg(long, value_name = "DIR")]
    pub definitions: Option<PathBuf>,
}

#[derive(Group, Debug)]
pub struct SelftestArgs {
    /// Run the cases in this file instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// Run only the cases of this method
    #[arg(long, value_name = "NAME", requires = "cases")]
    pub method: Option<String>,
    /// Run ONNX's conformance tests in this folder instead: subfolders with model.onnx and test_data_set_N
    #[arg(long, value_name = "DIR", conflicts_with = "cases")]
    pub onnx: Option<PathBuf>,
    /// Print JSON, one entry per case
    #[arg(long)]
    pub json: bool,
}

#[derive(Group, Debug)]
pub struct CompletionsArgs {
    /// Shell for which to generate the script
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Group, Debug)]
pub struct ManArgs {
    /// Write the pages to this folder
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

#[derive(Group, Debug)]
pub struct CheckArgs {
    /// Stop after this time (seconds, or 10m, 2h) with exit code 1
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<Deadline>,
    /// Methods or .rhai files to check
    #[arg(value_name = "PLUGIN", required = true)]
    pub methods: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_valid_for_clap() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_before_a_command_are_refused_unless_they_are_global() {
        let parse = |line: &str| Args::of(line.split(' '));
        let said = |line| parse(line).unwrap_err().to_string();
        assert!(said("gradscope -m shapes run gradcam").contains("write --model <MODEL> after \"run\""));
        assert!(
            said("gradscope -i dog.png --seed 3 eval --data made:shapes")
                .contains("write --input <PICTURE> after \"eval\"")
        );
        assert!(parse("gradscope --device cpu --plugins mine --exact run gradcam --precision bf16").is_ok());
        assert!(parse("gradscope --exact -i dog.png").is_ok());
    }
}
