//! Short schedules, shrunk by proptest when they fail.

use proptest::prelude::*;
use shardflight::{OnAbandon, Priority};

use super::{
    checker::check,
    load::{Played, play},
    plan::{Action, Api, Finish, Join, Plan, Treatment, Work, WorkEnd},
    record::Rules,
};

const KEYS: u8 = 3;

fn action() -> impl Strategy<Value = Action> {
    let end = prop_oneof![
        6 => Just(WorkEnd::Returns),
        1 => Just(WorkEnd::Panics),
        1 => Just(WorkEnd::PanicsInItsClosure),
    ];
    let work = (end, 0..12_u8).prop_map(|(end, yields)| Work { yields, sleeps: None, nested: None, end });
    let treatment = prop_oneof![
        5 => Just(Treatment::Waits),
        1 => Just(Treatment::NeverPolls),
        4 => (1..6_u8).prop_map(|polls| Treatment::LeavesAfter { polls }),
        2 => Just(Treatment::Parks),
    ];
    let join = (0..KEYS, work, treatment).prop_map(|(key, work, treatment)| Join {
        key,
        api: Api::Join,
        work,
        treatment,
        max_wait: None,
        priority: Priority::Normal,
    });
    prop_oneof![
        8 => join.prop_map(Action::Join),
        1 => (0..KEYS).prop_map(|key| Action::Forget { key }),
        2 => (0..8_u8).prop_map(|yields| Action::Pause { yields }),
    ]
}

/// All that a round has to answer for: its log, and what remains of it.
pub(super) fn answer_for(plan: &Plan, played: &Played) -> Result<super::checker::Verdict, String> {
    let verdict = check(&played.history).map_err(|violation| violation.to_string())?;
    if let Some(stats) = &played.stats {
        let executions = verdict.executions as u64;
        // Work that is abandoned before its task is first polled never begins.
        let all_began = plan.rules.on_abandon == OnAbandon::Finish && plan.rules.deadline.is_none();
        if stats.joins != stats.executions + stats.coalesced + stats.rejections
            || stats.executions < executions
            || (all_began && stats.executions != executions)
        {
            return Err(format!("G14: {executions} executions, and {stats:?}"));
        }
    }
    match played.values_alive {
        None | Some(0) => Ok(verdict),
        Some(alive) => Err(format!("G6: {alive} values outlived all callers")),
    }
}

/// How many schedules to play; `PROPTEST_CASES` asks for more.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]

    #[test]
    fn one_execution_per_key_and_window_whatever_callers_do(
        workers in 1..=4_usize,
        shards in 1..=3_usize,
        abort in any::<bool>(),
        callers in prop::collection::vec(prop::collection::vec(action(), 1..12), 1..24),
    ) {
        let rules = Rules::lax(if abort { OnAbandon::Abort } else { OnAbandon::Finish });
        let plan =
            Plan { workers, shards, rules, callers, threads: Vec::new(), overdue_first: false, finish: Finish::Quiet };
        answer_for(&plan, &play(&plan)).map_err(TestCaseError::fail)?;
    }
}
