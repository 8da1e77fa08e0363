//! Requests that came together in one list: a lane of their own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;

use super::{Hot, Queue, Runner, SLICES, TRIES, Ticket, Told, WARY};
use crate::{
    app::{App, Mall},
    authz::action::Action,
    db::{error::Error, replay::ReplayKey},
    http::{admit::Caller, codes, problem::Problem, reply::Written},
};

/// Posts requests of one kind that came together in one list, in their order, in transactions of
/// their own: a lane that nobody else waits in. Keys, slices and refusals are a lane's.
pub async fn post_all<A: Action, H: Hot>(
    caller: &Caller<A>,
    mall: &Arc<Mall>,
    requests: Vec<(ReplayKey, H)>,
) -> Vec<Result<Written, Problem>> {
    let mut mall = Arc::clone(mall);
    let mut left: Vec<Option<(ReplayKey, H)>> = requests.into_iter().map(Some).collect();
    let mut answers: Vec<Option<Result<Written, Problem>>> = left.iter().map(|_| None).collect();
    for _ in 0..TRIES {
        let asked = left.iter_mut().zip(&mut answers);
        let asked = asked.filter_map(|(left, answer)| Some((left.take()?, left, answer)));
        let (mut tickets, mut waiting) = (VecDeque::new(), Vec::new());
        for ((key, request), left, answer) in asked {
            let (told, hears) = oneshot::channel();
            tickets.push_back(Ticket {
                request,
                key,
                mall: Arc::clone(&mall),
                visit: Arc::clone(&caller.visit),
                answer: told,
            });
            waiting.push((hears, left, answer));
        }
        alone(caller.app(), &mall, tickets).await;
        let mut stale = false;
        for (hears, left, answer) in waiting {
            match hears.await {
                Ok(Told::Answer(told)) => *answer = Some(told),
                Ok(Told::Stale(asked)) => (*left, stale) = (Some(*asked), true),
                Err(_) => *answer = Some(Err(Problem::of(&codes::INTERNAL_ERROR))),
            }
        }
        if !stale {
            break;
        }
        match caller.mall_now(mall.revision).await {
            Ok(now) => mall = now,
            Err(_) => break,
        }
    }
    let stale = || Err(Problem::from(&Error::Stale));
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(stale))
        .collect()
}

/// A lane of its own, with no room for a second slice: they go one after the other.
async fn alone<H: Hot>(app: &App, mall: &Mall, tickets: VecDeque<Ticket<H>>) {
    let tenant = mall.tenant.id;
    let queue = Queue {
        waiting: tickets,
        tracks: [true; SLICES],
        opening: true,
        wary: WARY,
    };
    let runner = Runner {
        app: app.clone(),
        malls: Arc::new(Mutex::new(HashMap::from([(tenant, queue)]))),
        tenant,
        track: 0,
        opening: true,
        ended: false,
    };
    runner.run().await;
}
