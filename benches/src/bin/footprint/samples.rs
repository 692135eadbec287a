//! What was measured, and its medians.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Every measurement of every run.
#[derive(Debug, Default)]
pub struct Samples {
    pub start_to_listen_ms: Vec<f64>,
    pub format_to_joined_ms: Vec<f64>,
    pub restart_to_joined_ms: Vec<f64>,
    pub idle_rss_mb: Vec<f64>,
    pub engine_rss_mb: Vec<f64>,
    pub dmg_query_ms: Vec<f64>,
    pub dmg_query_rss_mb: Vec<f64>,
}

impl Samples {
    /// One object: the number of runs, the medians, and what was measured once.
    pub fn report(self, runs: usize, once: Vec<(String, f64)>) -> Result<Value> {
        let medians = [
            ("start_to_listen_ms", self.start_to_listen_ms),
            ("format_to_joined_ms", self.format_to_joined_ms),
            ("restart_to_joined_ms", self.restart_to_joined_ms),
            ("idle_rss_mb", self.idle_rss_mb),
            ("engine_rss_mb", self.engine_rss_mb),
            ("dmg_query_ms", self.dmg_query_ms),
            ("dmg_query_rss_mb", self.dmg_query_rss_mb),
        ];
        let mut report = Map::from_iter([("runs".to_owned(), json!(runs))]);
        for (name, values) in medians {
            let median = median(values).with_context(|| format!("{name} was never measured"))?;
            report.insert(name.to_owned(), json!(rounded(median)));
        }
        report.extend(once.into_iter().map(|(name, value)| (name, json!(rounded(value)))));
        Ok(Value::Object(report))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper))
}

/// Two digits: more would pretend to be exact.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::{Samples, median};

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn what_was_never_measured_is_no_figure() {
        let refused = Samples::default().report(7, Vec::new()).unwrap_err();
        assert_eq!(refused.to_string(), "start_to_listen_ms was never measured");
    }
}
