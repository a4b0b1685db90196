//! A session with two test methods, whose worker messages are written by hand.

use gradscope::model::card::CardRow;
use gradscope::render::{Array, Bar, Body, Cells, Channels, ClassRow, Figure, Quantity, Scale, Unit};
use gradscope::script::session::Target;
use gradscope::script::summary::*;
use gradscope::tui::effect::Effect;
use gradscope::tui::event::{Event, Key};
use gradscope::tui::state::State;
use gradscope::tui::update::update;
use gradscope::worker::message::{Command, Update};
use std::time::Duration;

/// An app with a model, a picture, and the method `glow` with its map.
pub fn opened(columns: u16, rows: u16) -> State {
    let mut state = State::new(columns, rows);
    state.graphics = "blocks".into();
    for said in
        [methods(), models(), model(), picture(), Update::Target(Some(Target::Class(1))), Update::Method(glow())]
    {
        tell(&mut state, said);
    }
    tell(&mut state, Update::Frame(map_frame(0)));
    state
}

/// The same, with the attack `push` at this step of four.
pub fn attacked(columns: u16, rows: u16, step: usize) -> State {
    let mut state = opened(columns, rows);
    tell(&mut state, Update::Method(push()));
    for at in (0..4).chain([step]) {
        tell(&mut state, Update::Frame(step_frame(0, at, 4.min(if at == step { 4 } else { at + 1 }))));
    }
    state
}

/// Delivers a worker message.
pub fn tell(state: &mut State, said: Update) -> Vec<Effect> {
    happen(state, Event::Worker(Box::new(said)))
}

/// Presses keys: `j`, `Enter`, `Ctrl-c`, …
pub fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.split(' ').flat_map(|name| happen(state, Event::Key(key(name)))).collect()
}

/// Types a text.
pub fn write(state: &mut State, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| happen(state, Event::Key(Key::Char(c)))).collect()
}

/// Lets time pass.
pub fn wait(state: &mut State, millis: u64) -> Vec<Effect> {
    let now = state.now + Duration::from_millis(millis);
    update(state, now, Event::Tick)
}

/// Delivers an event now.
pub fn happen(state: &mut State, event: Event) -> Vec<Effect> {
    update(state, state.now, event)
}

/// The commands to the worker among these effects.
pub fn asked(effects: &[Effect]) -> Vec<Command> {
    let command = |e: &Effect| match e {
        Effect::Ask(command) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

fn key(name: &str) -> Key {
    let named = [
        ("Enter", Key::Enter),
        ("Esc", Key::Esc),
        ("Tab", Key::Tab),
        ("S-Tab", Key::BackTab),
        ("Backspace", Key::Backspace),
        ("Left", Key::Left),
        ("Right", Key::Right),
        ("Down", Key::Down),
        ("Up", Key::Up),
        ("Home", Key::Home),
        ("End", Key::End),
        ("Space", Key::Char(' ')),
    ];
    let found = named.iter().find(|(n, _)| *n == name).map(|(_, key)| *key);
    let ctrl = || name.strip_prefix("Ctrl-").and_then(|c| c.chars().next()).map(Key::Ctrl);
    found.or_else(ctrl).unwrap_or_else(|| Key::Char(name.chars().next().expect("a key has a name")))
}

pub fn methods() -> Update {
    let row = |name: &str, group: &str, summary: &str| MethodRow {
        limits: String::new(),
        needs: vec![],
        own: false,
        unmet: None,
        name: name.into(),
        group: group.into(),
        summary: summary.into(),
        path: Some(format!("plugins/{name}.rhai").into()),
        broken: None,
    };
    Update::Methods(vec![
        MethodRow {
            limits: "says where, not why".into(),
            ..row("glow", "attribution", "Glow: what in the picture glows.")
        },
        row("push", "attack", "Push: pushes a little until the prediction changes."),
    ])
}

/// The same, with the second method broken.
pub fn broken_methods() -> Update {
    let Update::Methods(mut rows) = methods() else { unreachable!("methods are methods") };
    rows[1].broken = Some(14);
    Update::Methods(rows)
}

fn models() -> Update {
    let row = |name: &str, weights| ModelRow { name: name.into(), summary: format!("The {name} network."), weights };
    Update::Models(vec![row("tiny", true), row("resnet20", false)])
}

fn model() -> Update {
    let layer = |name: &str, kind: &str, shape: &[usize], parameters| LayerRow {
        name: name.into(),
        kind: kind.into(),
        shape: shape.to_vec(),
        parameters,
        shape_arithmetic: kind == "reshape",
    };
    Update::Model(ModelCard {
        name: "tiny".into(),
        device: "cpu".into(),
        card: vec![CardRow { name: "mean", value: "0.5".into(), source: "config.json: mean".into() }],
        origins: vec![],
        layers: vec![
            layer("stem", "conv", &[8, 16, 16], 224),
            layer("block.0.conv", "conv", &[16, 8, 8], 1168),
            layer("block.0.relu", "relu", &[16, 8, 8], 0),
            layer("block.1.conv", "conv", &[16, 8, 8], 2320),
            layer("flatten", "reshape", &[1024], 0),
            layer("head", "linear", &[4], 68),
        ],
        labels: ["ant", "bee", "cat", "dog"].map(str::to_owned).to_vec(),
        parameters: 3780,
    })
}

/// The search for models has found three files.
pub fn model_files() -> Event {
    let files = [
        ("net.onnx", 45_100_000),
        ("runs/last night/resnet20_best.pth", 1_130_000),
        ("/home/student/models/export.pt2", 1_420_000_000),
    ];
    Event::ModelFiles(files.map(|(path, bytes)| (path.to_owned(), bytes)).to_vec())
}

/// A bright disk on a dark ramp.
fn pixels(shift: f32) -> Array {
    let value = |i: usize| {
        let (c, y, x) = (i / 256, (i / 16 % 16) as f32, (i % 16) as f32);
        let near = ((x - 6.0 - shift).powi(2) + (y - 6.0).powi(2)).sqrt() < 4.5;
        if near { [0.9, 0.6, 0.2][c] } else { y / 40.0 }
    };
    Array::new(vec![3, 16, 16], (0..768).map(value).collect::<Vec<_>>()).expect("sizes agree")
}

pub fn picture() -> Update {
    Update::Picture {
        name: "photos/disk.png".into(),
        source: "photos/disk.png".into(),
        pixels: pixels(0.0),
        classes: classes(0),
    }
}

/// With each step, the third class gains over the second.
fn classes(step: usize) -> Vec<ClassRow> {
    let moved = 0.2 * step as f32;
    let share = [0.05, 0.75 - moved, 0.15 + moved, 0.05];
    let row = |(class, p): (usize, f32)| ClassRow {
        class,
        label: ["ant", "bee", "cat", "dog"][class].into(),
        probability: p,
        logit: p.ln(),
    };
    let mut rows: Vec<_> = share.into_iter().enumerate().map(row).collect();
    rows.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    rows
}

pub fn glow() -> MethodCard {
    MethodCard {
        name: "glow".into(),
        doc: "Shows what glows.\nNobody et al. 2020".into(),
        stepped: false,
        params: vec![
            param("layer", "the layer looked at", ParamKind::Layer(vec!["conv".into()]), "-1"),
            param("strength", "how much it glows", ParamKind::Number(0.0, 1.0), "0.5"),
            param("relu", "only what is positive", ParamKind::Switch, "true"),
        ],
    }
}

pub fn push() -> MethodCard {
    MethodCard {
        name: "push".into(),
        doc: "Pushes a little.".into(),
        stepped: true,
        params: vec![
            param("goal", "the class to reach", ParamKind::Class, ""),
            param("step", "length of one step", ParamKind::Pixels(0.0, 16.0), "1"),
        ],
    }
}

fn param(name: &str, doc: &str, kind: ParamKind, value: &str) -> ParamRow {
    ParamRow { name: name.into(), doc: doc.into(), kind, value: value.into(), default: value.into() }
}

/// The frame of `glow`: one map over the picture.
pub fn map_frame(generation: u64) -> Frame {
    let values = Array::new(vec![4, 4], (0..16).map(|i| i as f32 / 10.0).collect::<Vec<_>>()).expect("sizes agree");
    let body = Body::Map {
        values,
        scale: Scale::Positive,
        over: Some(pixels(0.0)),
        note: String::new(),
        cells: Cells::default(),
    };
    frame(generation, 0, 1, vec![Figure::new("glow", body)])
}

/// The frame of `push`: the picture, the perturbation, and the verdict.
pub fn step_frame(generation: u64, step: usize, kept: usize) -> Frame {
    let added = (0..768)
        .map(|i| if i % 256 % 3 == 0 { 2.0 } else { -4.0 } / 255.0 * step as f32 / (1 + i / 256) as f32)
        .collect::<Vec<_>>();
    let added = Array::new(vec![3, 16, 16], added).expect("sizes agree");
    let figure = |title: &str, body| Figure::new(title, body);
    let fooled = step >= 2;
    let verdict = Body::Badge { text: if fooled { "fooled" } else { "holds" }.into(), good: fooled };
    let added =
        Body::Map { values: added, scale: Scale::Symmetric, over: None, note: String::new(), cells: Cells::default() };
    let quantity = Quantity { unit: Some(Unit::new("1/255")), channels: Channels::Largest };
    let figures = vec![
        figure("adversarial", Body::Image { pixels: pixels(step as f32) }),
        Figure { quantity, ..figure("perturbation", added) },
        figure("norms", Body::Bars { bars: vec![Bar { label: "l2".into(), value: step as f32 }] }),
        figure("classes", Body::Classes { rows: classes(step), of: 4 }),
        figure("verdict", verdict),
    ];
    let scalars = vec![("linf".into(), (0..kept).map(|s| s as f64 * 3.0).collect())];
    Frame { scalars, done: fooled.then(|| "fooled".into()), ..frame(generation, step, kept, figures) }
}

fn frame(generation: u64, step: usize, kept: usize, figures: Vec<Figure>) -> Frame {
    Frame {
        generation,
        step,
        kept,
        stride: 1,
        done: None,
        figures,
        data: Some("made:digits".into()),
        scalars: Vec::new(),
        millis: 41.0,
        partial: false,
        notes: Vec::new(),
        used: Vec::new(),
    }
}

/// An error of a script.
pub fn report() -> Report {
    Report {
        message: "function not found: relu_mask (Tensor, f64)".into(),
        place: Some(("push.rhai".into(), 14, 21)),
        excerpt: vec![
            (13, "for l in layers.reverse() {".into()),
            (14, "    let r = l.vjp(1, relu_mask(r, eps));".into()),
            (15, "}".into()),
        ],
        advice: Some("there is relu(tensor)".into()),
        python: vec![],
    }
}
