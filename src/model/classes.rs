//! Class names: finds the class that a name refers to, and matches the classes of a data set with those of a network.

use super::Card;
use crate::data::{Dataset, notes, wordnet_id};
use crate::graph::Graph;
use crate::words;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// Maximum number of names listed in an error message.
const LISTED: usize = 4;

/// Maps the classes of a data set to the classes of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMap {
    /// The network's class for each class of the data set; `None` if no picture has that label.
    classes: Vec<Option<usize>>,
    /// How the classes were matched.
    pub by: MatchedBy,
}

/// How the classes of a data set were matched with those of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// Matched by name, ignoring case, spaces, hyphens and underscores, or by a synonym.
    Name,
    /// Matched by WordNet ID, such as `n02111889`.
    WordNetId,
    /// Some classes matched by name, others by WordNet ID.
    NameAndId,
    /// Matched by class index.
    Number,
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "by name",
            Self::WordNetId => "by WordNet id",
            Self::NameAndId => "by name and WordNet id",
            Self::Number => "by number",
        })
    }
}

impl ClassMap {
    /// Like [`matched`](Self::matched), and queues a note for the user that says how the classes were matched.
    pub fn between(data: &Dataset, card: &Card, count: usize) -> Result<Self> {
        let map = Self::matched(data, card, count)?;
        notes::add(format!(
            "the classes of the data set \"{}\" are matched with those of the network \"{}\" {}",
            data.name, card.name, map.by
        ));
        Ok(map)
    }

    /// Like [`between`](Self::between), with the number of classes taken from the network. Also errors if the network is not a
    /// classifier.
    pub fn of_classes(data: &Dataset, card: &Card, graph: &Graph) -> Result<Self> {
        graph.check_classes()?;
        Self::between(data, card, graph.classes())
    }

    /// Matches the classes of a data set with the `count` classes of a network.
    ///
    /// Classes are matched by name if both have names. They are matched by index if the data set has no names, or if its order is
    /// fixed (CIFAR-10, MNIST), at least half of the names match, and every matching name has the same index. Errors if the data
    /// set has no labels, if a name is unknown or ambiguous, if an index is out of range, or if the data set is a folder with class
    /// names but the network has none.
    pub fn matched(data: &Dataset, card: &Card, count: usize) -> Result<Self> {
        ensure!(
            data.labelled,
            "the data set \"{}\" has no labels; put its pictures into one folder per class",
            data.name
        );
        let used: BTreeSet<_> = (0..data.len()).map(|i| data.label(i)).collect();
        match data.classes.is_empty() {
            true => Self::by_number(data, card, count, &used),
            false => Self::by_name(data, card, count, &used),
        }
    }

    /// The network's class for class `label` of the data set.
    ///
    /// Errors if no picture of the data set has the label.
    pub fn class(&self, label: usize) -> Result<usize> {
        let class = self.classes.get(label).copied().flatten();
        class.ok_or_else(|| {
            anyhow!("class {label} of the data set has no pictures, so it has no counterpart in the network")
        })
    }

    /// The classes of the data set that map to class `class` of the network.
    pub fn labels(&self, class: usize) -> Vec<usize> {
        (0..self.classes.len()).filter(|&label| self.classes[label] == Some(class)).collect()
    }

    /// The network's class for the label of every picture of the data set.
    pub fn all(&self, data: &Dataset) -> Result<Vec<usize>> {
        (0..data.len()).map(|i| self.class(data.label(i))).collect()
    }

    fn of(used: &BTreeSet<usize>, class: impl Fn(usize) -> usize, by: MatchedBy) -> Self {
        let classes = (0..=used.last().copied().unwrap_or(0)).map(|label| used.contains(&label).then(|| class(label)));
        Self { classes: classes.collect(), by }
    }

    /// Matches classes by index, or by name if the network's class names are numbers.
    fn by_number(data: &Dataset, card: &Card, count: usize, used: &BTreeSet<usize>) -> Result<Self> {
        let named: HashMap<_, _> =
            card.labels.iter().enumerate().map(|(class, label)| (label.clone(), class)).collect();
        if used.iter().all(|label| named.contains_key(&label.to_string())) {
            return Ok(Self::of(used, |label| named[&label.to_string()], MatchedBy::Name));
        }
        let beyond = (0..data.len()).find(|&i| data.label(i) >= count);
        ensure!(
            beyond.is_none(),
            "picture {} of the data set \"{}\" has class {}, but the network \"{}\" has only {count} classes, 0 to {}",
            beyond.unwrap_or_default(),
            data.name,
            data.label(beyond.unwrap_or_default()),
            card.name,
            count.saturating_sub(1)
        );
        Ok(Self::of(used, |label| label, MatchedBy::Number))
    }

    fn by_name(data: &Dataset, card: &Card, count: usize, used: &BTreeSet<usize>) -> Result<Self> {
        let fixed = !data.alphabetical && data.classes.len() == count;
        if card.labels.is_empty() {
            ensure!(
                fixed,
                "the data set \"{}\" has class names ({}), but the network \"{}\" has none; name the folders by class index, 0 to {}",
                data.name,
                some(data.classes.iter()),
                card.name,
                count.saturating_sub(1)
            );
            return Ok(Self::of(used, |label| label, MatchedBy::Number));
        }
        let lookup = Lookup::new(card);
        let names: Vec<_> = used.iter().map(|&label| (label, data.classes[label].as_str())).collect();
        let written: BTreeSet<_> = names.iter().map(|(_, name)| *name).collect();
        let as_the_network = written.iter().all(|name| lookup.exactly(name).is_some());
        // An ambiguous name means the class with exactly this label if the data set also contains the network's other classes of
        // that name, under their own labels.
        let told_apart = |class: usize, others: &[usize]| {
            let there = |other: &usize| *other == class || written.contains(&card.labels[*other][..]);
            as_the_network && (card.synonyms.is_empty() || others.iter().all(there))
        };
        let mut found = HashMap::new();
        let mut unknown = None;
        for &(label, name) in &names {
            let class = match &lookup.find_or_synonyms(name)[..] {
                [class] => Some(*class),
                [] => None,
                several if fixed && several.contains(&label) => Some(label),
                several => {
                    let exact = lookup.exactly(name).filter(|class| told_apart(*class, several));
                    Some(exact.with_context(|| ambiguous(data, card, name, several))?)
                }
            };
            match class {
                Some(class) => drop(found.insert(label, class)),
                None => unknown = unknown.or(Some(name)),
            }
        }
        let Some(name) = unknown else {
            let ids = names.iter().filter(|(_, name)| wordnet_id(name).is_some()).count();
            let by = match ids {
                0 => MatchedBy::Name,
                _ if ids == names.len() => MatchedBy::WordNetId,
                _ => MatchedBy::NameAndId,
            };
            return Ok(Self::of(used, |label| found[&label], by));
        };
        if fixed && 2 * found.len() >= names.len() && found.iter().all(|(label, class)| label == class) {
            return Ok(Self::of(used, |label| label, MatchedBy::Number));
        }
        bail!(
            "the network \"{}\" has no class \"{name}\", which the data set \"{}\" uses; the network has {}, the data set has {}{}",
            card.name,
            data.name,
            some(card.labels.iter()),
            some(data.classes.iter()),
            nearest(card, name)
        )
    }
}

impl Card {
    /// The card of a network that is trained from random weights on a data set with `count` classes. The class names of a folder,
    /// in alphabetical order, replace the card's labels unless the two sets of names match.
    pub fn to_learn(self, data: &Dataset, count: usize) -> Self {
        let named = data.alphabetical && data.classes.len() <= count;
        if !named || ClassMap::matched(data, &self, count).is_ok() {
            return self;
        }
        let labels = (0..count).map(|class| data.classes.get(class).cloned().unwrap_or_else(|| class.to_string()));
        Self { labels: labels.collect(), synonyms: [].into(), ..self }
    }

    /// The index of the class with the index, name or synonym `text`, among `count` classes.
    ///
    /// Errors if the name is unknown or ambiguous or the index is out of range; the message suggests alternatives.
    pub fn class(&self, text: &str, count: usize) -> Result<usize> {
        if let Ok(index) = text.parse::<usize>() {
            ensure!(
                count > 0,
                "no class {index}: the network \"{}\" is not a classifier but outputs a value at each of several positions",
                self.name
            );
            ensure!(
                index < count,
                "no class {index}; the network \"{}\" has {count} classes, 0 to {}",
                self.name,
                count - 1
            );
            return Ok(index);
        }
        let lookup = Lookup::new(self);
        if let Some(class) = lookup.exactly(text) {
            return Ok(class);
        }
        match &lookup.find(text)[..] {
            [class] => Ok(*class),
            [] if self.labels.is_empty() => {
                bail!("no class named \"{text}\": the network \"{}\" has no class names; use a class index", self.name)
            }
            [] => bail!("no class named \"{text}\" in the network \"{}\"{}", self.name, nearest(self, text)),
            several => {
                bail!(
                    "the class name \"{text}\" is ambiguous in the network \"{}\": {}; use the class index",
                    self.name,
                    choices(self, several)
                )
            }
        }
    }
}

/// A lookup table from names to the classes of a network.
struct Lookup<'a> {
    /// The class with each exact label; `None` if several classes share the label.
    exact: HashMap<&'a str, Option<usize>>,
    /// The classes with each label, WordNet ID or synonym, by its [`key`].
    names: HashMap<String, BTreeSet<usize>>,
}

impl<'a> Lookup<'a> {
    fn new(card: &'a Card) -> Self {
        let (mut exact, mut names) = (HashMap::new(), HashMap::<_, BTreeSet<_>>::new());
        for (class, label) in card.labels.iter().enumerate() {
            exact.entry(&label[..]).and_modify(|class| *class = None).or_insert(Some(class));
            let synonyms = card.synonyms.get(class).into_iter().flatten();
            for name in synonyms.chain([label]).map(|name| key(name)).filter(|name| !name.is_empty()) {
                names.entry(name).or_default().insert(class);
            }
        }
        Self { exact, names }
    }

    /// The class whose label is exactly `name`; `None` if there is no such class or more than one.
    fn exactly(&self, name: &str) -> Option<usize> {
        self.exact.get(name).copied().flatten()
    }

    /// The classes that `name` may refer to.
    fn find(&self, name: &str) -> Vec<usize> {
        let classes = self.names.get(&key(wordnet_id(name).unwrap_or(name)));
        classes.map_or_else(|| self.exactly(name).into_iter().collect(), |classes| classes.iter().copied().collect())
    }

    /// The classes that `name` may refer to; if there are none, those that have all synonyms of a list such as
    /// `tench, Tinca tinca`, as in Hugging Face's ImageNet.
    fn find_or_synonyms(&self, name: &str) -> Vec<usize> {
        let found = self.find(name);
        if !found.is_empty() || !name.contains(", ") {
            return found;
        }
        let sets = name.split(", ").map(|synonym| self.names.get(&key(synonym)).cloned().unwrap_or_default());
        sets.reduce(|common, set| &common & &set).unwrap_or_default().into_iter().collect()
    }
}

/// Normalizes a name for comparison: lowercase letters and digits only.
fn key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Lists the first few of `names`, quoted.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    let names: Vec<_> = names.take(LISTED).map(|name| format!("\"{name}\"")).collect();
    names.join(", ") + more
}

/// The end of an error message that lists the labels most similar to a name.
fn nearest(card: &Card, name: &str) -> String {
    let name = name.to_lowercase();
    let alike = |label: &str| words::alike(&label.to_lowercase(), &name);
    let mut near: Vec<_> = card.labels.iter().enumerate().map(|(class, label)| (alike(label), class, label)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.iter().take(3).map(|(_, class, label)| format!("\"{label}\" ({class})")).collect();
    format!("; similar names: {}", near.join(", "))
}

fn ambiguous(data: &Dataset, card: &Card, name: &str, classes: &[usize]) -> String {
    let (set, network) = (&data.name, &card.name);
    let way = if card.synonyms.is_empty() { "use class indices for all classes" } else { "use the WordNet id" };
    format!(
        "the class \"{name}\" of the data set \"{set}\" is ambiguous in the network \"{network}\": {}; {way}",
        choices(card, classes)
    )
}

/// Lists classes that share a name, with their synonyms or labels.
fn choices(card: &Card, classes: &[usize]) -> String {
    let one = |&class: &usize| match card.synonyms.get(class) {
        Some(names) if !names.is_empty() => format!("class {class} ({})", names.join(", ")),
        _ => format!("class {class} (\"{}\")", card.label(class)),
    };
    classes.iter().map(one).collect::<Vec<_>>().join(" or ")
}
