//! Metrics in the text format of OpenMetrics 1.0, read as strictly as its grammar is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::wire::Wire;

/// The media type that the text must come with.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the text must end with.
const END: &str = "# EOF\n";

/// The labels of a sample, by name.
pub type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its name, with what samples of its kind end with.
    pub name: String,
    /// What it is of.
    pub labels: Labels,
    /// Its value, which is a number.
    pub value: String,
}

/// What was shown at one moment.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    /// The whole text.
    pub text: String,
    /// The kind of each metric, by its name.
    pub kinds: BTreeMap<String, String>,
    /// All samples, in order.
    pub samples: Vec<Sample>,
}

impl Exposition {
    /// Asks a host.
    ///
    /// # Panics
    /// When it does not answer, or its text is not right.
    pub async fn read_from(address: SocketAddr) -> Self {
        let mut wire = Wire::connect(address).await;
        wire.write("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await;
        let answer = wire.read().await.expect("the host shows its metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let has_type = answer
            .head
            .lines()
            .any(|line| line.eq_ignore_ascii_case(&format!("content-type: {MEDIA_TYPE}")));
        assert!(has_type, "{}", answer.head);
        match Self::parse(&answer.body) {
            Ok(exposition) => exposition,
            Err(reason) => panic!("{reason}, in:\n{}", answer.body),
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// What is not as the format has it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text
            .strip_suffix(END)
            .ok_or_else(|| format!("the text must end with {END:?}"))?;
        let mut read = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut current: Option<(String, String)> = None;
        let mut helped = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (index, line) in lines.split_terminator('\n').enumerate() {
            let wrong = |reason: &str| format!("line {}: {reason}: {line:?}", index + 1);
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (word, name) = (words.next(), words.next().unwrap_or_default());
                let rest = words.next().unwrap_or_default();
                match word {
                    Some("HELP") if helped.insert(name.to_owned()) && !rest.is_empty() => {}
                    Some("TYPE") if ["counter", "gauge", "histogram"].contains(&rest) => {
                        let kind = rest.to_owned();
                        if read.kinds.insert(name.to_owned(), kind.clone()).is_some() {
                            return Err(wrong("the metric comes a second time"));
                        }
                        current = Some((name.to_owned(), kind));
                    }
                    _ => return Err(wrong("this is no right line of HELP or TYPE")),
                }
                continue;
            }
            let sample = Sample::parse(line).map_err(|reason| wrong(&reason))?;
            let belongs = current.as_ref().is_some_and(|(name, kind)| {
                let suffix = sample.name.strip_prefix(name.as_str());
                suffix.is_some_and(|suffix| suffixes(kind).contains(&suffix))
            });
            if !belongs {
                return Err(wrong("the sample is not one of the metric above it"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(wrong("the sample comes a second time"));
            }
            read.samples.push(sample);
        }
        read.check_histograms()?;
        Ok(read)
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<&str> {
        let samples = self.samples.iter();
        samples.map(|sample| sample.name.as_str()).collect()
    }

    /// The sum of the samples of a name that have these labels, which must be whole numbers.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        let has_labels = |sample: &&Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        of_name
            .filter(has_labels)
            .map(|sample| {
                // A histogram's sum is written as a fraction.
                let whole = sample.value.strip_suffix(".0").unwrap_or(&sample.value);
                match whole.parse::<u64>() {
                    Ok(value) => value,
                    Err(error) => panic!("{sample:?} is no whole number: {error}"),
                }
            })
            .sum()
    }

    /// Fails unless the buckets of each histogram grow, and the last has all observations.
    fn check_histograms(&self) -> Result<(), String> {
        let mut last: BTreeMap<(&str, Labels), u64> = BTreeMap::new();
        let mut counts: BTreeMap<(&str, Labels), u64> = BTreeMap::new();
        for sample in &self.samples {
            let number = || {
                let value = sample.value.parse::<u64>();
                value.map_err(|_| format!("{sample:?} must be a whole number"))
            };
            if let Some(name) = sample.name.strip_suffix("_bucket") {
                let mut labels = sample.labels.clone();
                if labels.remove("le").is_none() {
                    return Err(format!("{sample:?} has no bound"));
                }
                let count = number()?;
                if last.insert((name, labels), count) > Some(count) {
                    return Err(format!("{sample:?} is below the bucket before it"));
                }
            } else if let Some(name) = sample.name.strip_suffix("_count") {
                counts.insert((name, sample.labels.clone()), number()?);
            }
        }
        if last != counts {
            return Err("the last bucket of a histogram must have all observations".to_owned());
        }
        Ok(())
    }
}

/// What samples of a kind end with.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_count", "_sum"],
        _ => &[""],
    }
}

impl Sample {
    fn parse(line: &str) -> Result<Self, String> {
        let end = line
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(line.len());
        let (name, mut rest) = line.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("a sample begins with its name".to_owned());
        }
        let mut labels = Labels::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (label, after) = rest.split_once("=\"").ok_or("a label has a value")?;
                let (value, after) = unescaped(after)?;
                if labels.insert(label.to_owned(), value).is_some() {
                    return Err(format!("the label {label} comes a second time"));
                }
                if let Some(after) = after.strip_prefix('}') {
                    rest = after;
                    break;
                }
                rest = after
                    .strip_prefix(',')
                    .ok_or("labels have commas between them")?;
            }
        }
        let value = rest.strip_prefix(' ').ok_or("a value follows")?;
        value
            .parse::<f64>()
            .map_err(|_| format!("{value:?} is no number"))?;
        Ok(Self {
            name: name.to_owned(),
            labels,
            value: value.to_owned(),
        })
    }
}

/// The value up to its quote, and what follows that.
fn unescaped(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("only a quote, a backslash and n are escaped".to_owned()),
            },
            other => value.push(other),
        }
    }
    Err("a value ends with a quote".to_owned())
}
