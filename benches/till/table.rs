//! What a run came to: medians of the rows, and each goal.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    load::Measured,
    rows::{GOALS, Goal, Plan, Wanted},
};

/// What was measured so far.
#[derive(Default)]
pub struct Results {
    pub rows: BTreeMap<&'static str, Vec<Measured>>,
    pub figures: BTreeMap<&'static str, f64>,
}

/// A goal's figure: its value, what it is read as, what is to be reached, and whether it is.
struct Line {
    measured: String,
    wanted: String,
    reached: Option<bool>,
}

impl Results {
    pub fn median(&self, row: &str, of: fn(&Measured) -> f64) -> Option<f64> {
        Measured::median(self.rows.get(row)?, of)
    }

    pub fn text(&self, plan: &Plan) -> String {
        let mut text = self.measured(plan);
        writeln!(text, "\n{:<38} {:>12}  to reach", "goal", "measured").unwrap();
        let shown = |goal: &&Goal| {
            let figure = matches!(goal.wanted, Wanted::Figure(..));
            figure || plan.goals.iter().any(|asked| std::ptr::eq(*asked, *goal))
        };
        for goal in GOALS.iter().filter(shown) {
            let Some(line) = self.line(goal) else {
                continue;
            };
            let reached = match line.reached {
                Some(true) => "reached",
                Some(false) => "MISSED",
                None => "",
            };
            let (name, measured, wanted) = (goal.name, line.measured, line.wanted);
            writeln!(text, "{name:<38} {measured:>12}  {wanted:<52} {reached}").unwrap();
        }
        text
    }

    fn measured(&self, plan: &Plan) -> String {
        let mut text = format!(
            "{:<33} {:>8} {:>8} {:>8} {:>7} {:>4} {:>4} {:>6} {:>6} {:>6} {:>7}\n",
            "row",
            "ok/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "err",
            "lost",
            "double",
            "us srv",
            "us pg",
            "WAL/op"
        );
        for row in &plan.rows {
            let figure = |of: fn(&Measured) -> f64| self.median(row.name, of).unwrap_or(f64::NAN);
            let count = |of: fn(&Measured) -> u64| -> u64 {
                self.rows.get(row.name).into_iter().flatten().map(of).sum()
            };
            writeln!(
                text,
                "{:<33} {:>8.0} {:>8} {:>8} {:>7.0} {:>4} {:>4} {:>6} {:>6.0} {:>6.0} {:>7.0}",
                row.name,
                figure(|one| one.rate),
                known(figure(|one| one.p50)),
                known(figure(|one| one.p99)),
                figure(|one| one.longest),
                count(|one| one.errors),
                count(|one| one.lost),
                count(|one| one.double),
                figure(|one| one.server_us),
                figure(|one| one.postgres_us),
                figure(|one| one.wal),
            )
            .unwrap();
        }
        text
    }

    fn line(&self, goal: &Goal) -> Option<Line> {
        let most = |value: f64, most: f64, unit: &str, what: &str| Line {
            measured: format!("{value:.2} {unit}"),
            wanted: format!("at most {most} {unit}{what}"),
            reached: Some(value <= most),
        };
        let p99 = |row: &str| self.median(row, |one| one.p99);
        let rate = |row: &str| self.median(row, |one| one.rate);
        Some(match goal.wanted {
            Wanted::Times(row, of, least) => {
                let rates: Option<Vec<f64>> = of.iter().map(|name| rate(name)).collect();
                let times = rate(row)? / rates?.into_iter().fold(0.0, f64::max);
                let of = match of {
                    [only] => (*only).to_owned(),
                    several => format!("best of {}", several.join(" / ")),
                };
                Line {
                    measured: format!("{times:.3} x"),
                    wanted: match least {
                        Some(least) => format!("at least {least} x {of}"),
                        None => format!("- x {of}"),
                    },
                    reached: least.map(|least| times >= least),
                }
            }
            Wanted::P99Times(row, of, times) => most(
                p99(row)? / p99(of)?,
                times,
                "x",
                &format!(" the p99 of {of}"),
            ),
            Wanted::P99(row, limit) => most(p99(row)?, limit, "ms", ", p99"),
            Wanted::Longest(row, limit) => most(
                self.median(row, |one| one.longest)?,
                limit,
                "ms",
                ", longest",
            ),
            Wanted::Exact(row) => {
                let all = self.rows.get(row)?.iter();
                let (lost, double) = all.fold((0, 0), |(lost, double), one| {
                    (lost + one.lost, double + one.double)
                });
                Line {
                    measured: format!("{lost} and {double}"),
                    wanted: "0 lost and 0 double".to_owned(),
                    reached: Some(lost == 0 && double == 0),
                }
            }
            Wanted::Figure(_, name, limit) => most(*self.figures.get(name)?, limit, "", ""),
        })
    }
}

/// A latency in milliseconds; a dash where the reference does not say it.
fn known(figure: f64) -> String {
    if figure > 0.0 {
        format!("{figure:.2}")
    } else {
        "-".to_owned()
    }
}
