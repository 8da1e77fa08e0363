//! Very many malls: what one more of them costs, and what all of them cost a server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    load,
    machine::memory_now,
    mall::{Mall, Size},
    rows::{FIRST, GROWTH, IDLE, LAST, SERVED, START},
    site::{Server, Site},
};

/// Members of all of them together, as many as the one large mall has.
const MEMBERS: usize = 10_000;

/// The first and the last are made one by one, and timed.
const TIMED: usize = 10;

/// The others are made so many at a time, as `rotunda tenant apply` does.
const AT_ONCE: usize = 4;

/// How often a server is started for the median.
const STARTS: usize = 3;

/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(5);

type Figures = BTreeMap<&'static str, f64>;

pub struct Crowd {
    pub malls: Vec<Arc<Mall>>,
}

impl Crowd {
    /// Makes so many malls.
    pub async fn open(site: &Site, count: usize, figures: &mut Figures) -> Self {
        assert!(count > 2 * TIMED, "at least {} malls", 2 * TIMED + 1);
        let extent = Size {
            merchants: 1,
            members: MEMBERS.div_ceil(count),
            points: false,
        };
        let open = |number: usize| async move {
            let slug = format!("mall-{number}");
            Mall::open(site, &slug, extent).await
        };
        let (mut malls, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..TIMED {
            let (mall, took) = open(number).await;
            malls.push(mall);
            first.push(took.as_secs_f64());
        }
        let mut others = stream::iter(TIMED..count - TIMED)
            .map(open)
            .buffer_unordered(AT_ONCE);
        while let Some((mall, _)) = others.next().await {
            malls.push(mall);
        }
        for number in count - TIMED..count {
            let (mall, took) = open(number).await;
            malls.push(mall);
            last.push(took.as_secs_f64());
        }
        let (first, last) = (median(first), median(last));
        figures.extend([(FIRST, first), (LAST, last), (GROWTH, last / first)]);
        println!("{count} malls: one more took {first:.3} s first and {last:.3} s at the end");
        Self { malls }
    }

    /// Has the server answer for every mall, and reads its memory when it is idle again.
    pub async fn serve_all(&self, server: &Server, figures: &mut Figures) {
        let mut dice = load::Dice::new();
        for mall in &self.malls {
            load::once(server.address, mall.home(&mut dice)).await;
        }
        tokio::time::sleep(REST).await;
        figures.insert(SERVED, memory_now(server.process()));
    }
}

/// Starts the server anew a few times: how long until it is ready, and what it holds when idle.
pub async fn restart(site: &Site, server: &mut Server, figures: &mut Figures) {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let (fresh, ready) = Server::ready(site).await;
        *server = fresh;
        took.push(ready.as_secs_f64());
    }
    tokio::time::sleep(REST).await;
    figures.insert(START, median(took));
    figures.insert(IDLE, memory_now(server.process()));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
