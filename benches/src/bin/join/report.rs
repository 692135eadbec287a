//! What was measured: one JSON object a line while it is measured, medians and a table at the end.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::process;

/// What one measurement is about, the first part of its line.
pub type About = Vec<(&'static str, Value)>;
/// What it found.
pub type Figures = Vec<(&'static str, f64)>;

/// All measurements.
#[derive(Debug, Default)]
pub struct Report {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    about: About,
    runs: Vec<Figures>,
}

impl Report {
    /// Takes one run and prints it. Runs about the same thing belong together. `more` is printed and not summed up.
    pub fn run(&mut self, about: About, figures: Figures, more: About) -> Result<()> {
        let at = match self.groups.iter().position(|group| group.about == about) {
            Some(at) => at,
            None => {
                self.groups.push(Group { about, runs: Vec::new() });
                self.groups.len() - 1
            }
        };
        let group = self.groups.get_mut(at).context("just put there")?;
        group.runs.push(figures.clone());
        let mut line = group.line("run", group.runs.len(), &figures);
        line.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        line.insert("load".to_owned(), json!(process::load()?));
        println!("{}", Value::Object(line));
        Ok(())
    }

    /// Prints the medians: a JSON line for each group, and a table for people.
    pub fn table(&self) {
        let mut heading = Vec::new();
        for group in &self.groups {
            let medians = group.medians();
            println!("{}", Value::Object(group.line("median_of", group.runs.len(), &medians)));
            let names: Vec<&str> = medians.iter().map(|(name, _)| *name).collect();
            if heading != names {
                eprintln!("\n{:>28}  {}", "", names.join("  "));
                heading = names;
            }
            let about = group.about.iter().skip(1).map(|(name, value)| format!("{name} {value}"));
            let about = about.collect::<Vec<_>>().join(" ").replace('"', "");
            let cells =
                medians.iter().map(|(name, value)| format!("{value:>width$}", width = name.len()));
            eprintln!("{about:>28}  {}", cells.collect::<Vec<_>>().join("  "));
        }
    }
}

impl Group {
    fn line(&self, counted: &str, runs: usize, figures: &Figures) -> Map<String, Value> {
        let about = self.about.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let figures =
            figures.iter().map(|(name, value)| ((*name).to_owned(), json!(rounded(*value))));
        about.chain([(counted.to_owned(), json!(runs))]).chain(figures).collect()
    }

    fn medians(&self) -> Figures {
        let Some(first) = self.runs.first() else { return Vec::new() };
        let all = |wanted: &str| {
            let found = self.runs.iter().flatten().filter(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value).collect()
        };
        first.iter().filter_map(|(name, _)| Some((*name, rounded(median(all(name))?)))).collect()
    }
}

/// The middle of the values, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper))
}

/// Three digits and no more: the rest would pretend to be exact.
fn rounded(value: f64) -> f64 {
    let factor = if value.abs() >= 100.0 {
        1.0
    } else if value.abs() >= 10.0 {
        10.0
    } else {
        1000.0
    };
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Group, median, rounded};

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_group_is_summed_up_figure_by_figure() {
        let about = vec![("measure", json!("joins")), ("members", json!(5))];
        let runs = vec![
            vec![("a", 1.0), ("b", 30.0)],
            vec![("a", 3.0), ("b", 10.0)],
            vec![("a", 2.0), ("b", 20.0)],
        ];
        let group = Group { about, runs };
        assert_eq!(group.medians(), [("a", 2.0), ("b", 20.0)]);
        let line = group.line("median_of", 3, &group.medians());
        assert_eq!(
            serde_json::Value::Object(line).to_string(),
            r#"{"measure":"joins","members":5,"median_of":3,"a":2.0,"b":20.0}"#
        );
        assert_eq!([12345.678, 12.345, 1.23456].map(rounded), [12346.0, 12.3, 1.235]);
    }
}
