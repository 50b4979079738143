//! What each act has to show, checked.

use std::{fmt, time::Duration};

use crate::{
    act::{Act, LEASE, OP_TIMEOUT, PAGES, REPLICAS},
    tally::Tally,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) text: String,
    pub(crate) holds: bool,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.holds { "✓" } else { "✗" }, self.text)
    }
}

pub(crate) fn claims(act: Act, tally: &Tally) -> Vec<Claim> {
    let numbers = &tally.numbers;
    let (one_each, one) = (u64::from(REPLICAS * PAGES), u64::from(PAGES));
    let mut claims = vec![answered(tally)];
    let mut claim = |holds, text: String| claims.push(Claim { text, holds });
    let executions = tally.executions;
    match act {
        Act::Alone => {
            claim(executions == one_each, format!("{executions} executions, one per page and replica"));
        }
        Act::Together | Act::Back => {
            claim(executions == one, format!("{executions} executions, one per page"));
            let all = numbers.led == one && numbers.followed == one_each - one && numbers.fail_opens == 0;
            claim(all, format!("{} flights led, {} followed, none went alone", numbers.led, numbers.followed));
        }
        Act::Killed => {
            claim(executions == 2, format!("{executions} executions, one of which died with its replica"));
            claim(numbers.takeovers == 1, "one of the other replicas has taken over".into());
            claim(numbers.followed == u64::from(REPLICAS - 2), "the rest follow that one".into());
        }
        Act::Stopped => {
            claim(executions == one_each, format!("{executions} executions, as without the tier"));
            claim(numbers.fail_opens == one_each, format!("{} flights went alone", numbers.fail_opens));
            claim(numbers.open == u64::from(REPLICAS), "every replica's breaker has opened".into());
        }
        Act::Open => {
            claim(executions == one_each, format!("{executions} executions, as without the tier"));
            let none_asked = numbers.not_asked == one_each && numbers.round_trips == 0;
            claim(none_asked, format!("{} flights went alone without asking Redis", numbers.not_asked));
        }
    }
    claims
}

fn answered(tally: &Tally) -> Claim {
    let Tally { requests, answers, lost, .. } = tally;
    let mut text = format!("{} of {requests} requests got the page", answers.right);
    if *lost > 0 {
        text = format!("{text}, and {lost} were of the replica that died");
    }
    if let Some(error) = &answers.first_error {
        text = format!("{text}; one of {} errors: {error}", answers.errors);
    }
    // One of four replicas at most.
    let holds = *requests > 0 && answers.right + lost == *requests && *lost <= requests / u64::from(REPLICAS);
    Claim { text, holds }
}

/// To be read and not checked, as it depends on the machine. `alone`: when each replica was by itself.
pub(crate) fn slowest(act: Act, tally: &Tally, alone: Duration) -> String {
    let more = match act {
        Act::Alone => String::new(),
        Act::Together | Act::Back => format!(", in place of {}", human(alone)),
        Act::Killed => format!(", with the rest of the dead leader's lease (up to {})", human(LEASE)),
        Act::Stopped => {
            format!(", with an op_timeout ({}); without the tier it took {}", human(OP_TIMEOUT), human(alone))
        }
        Act::Open => format!("; without the tier it took {}", human(alone)),
    };
    format!("the slowest answer took {}{more}", human(tally.answers.slowest))
}

pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.0} ms", seconds * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::Numbers, tally::Answers};

    /// As it should be.
    fn honest(act: Act) -> Tally {
        let numbers = match act {
            Act::Alone => Numbers::default(),
            Act::Together | Act::Back => Numbers { led: 5, followed: 15, ..Numbers::default() },
            Act::Killed => Numbers { led: 1, followed: 2, takeovers: 1, ..Numbers::default() },
            Act::Stopped => Numbers { fail_opens: 20, open: 4, ..Numbers::default() },
            Act::Open => Numbers { fail_opens: 20, not_asked: 20, open: 4, ..Numbers::default() },
        };
        let executions = match act {
            Act::Alone | Act::Stopped | Act::Open => 20,
            Act::Together | Act::Back => 5,
            Act::Killed => 2,
        };
        let lost = if act == Act::Killed { 100 } else { 0 };
        let slowest = Duration::from_millis(600);
        let answers = Answers { right: 400 - lost, errors: 0, slowest, first_error: None };
        Tally { requests: 400, answers, lost, executions, numbers }
    }

    fn hold(act: Act, tally: &Tally) -> bool {
        claims(act, tally).iter().all(|claim| claim.holds)
    }

    #[test]
    fn every_act_holds_when_all_is_well() {
        for act in Act::ALL {
            assert!(hold(act, &honest(act)), "{act:?}: {:?}", claims(act, &honest(act)));
        }
    }

    #[test]
    fn one_execution_more_or_less_breaks_an_act() {
        for act in Act::ALL {
            for executions in [honest(act).executions - 1, honest(act).executions + 1] {
                assert!(!hold(act, &Tally { executions, ..honest(act) }), "{act:?} with {executions}");
            }
        }
    }

    #[test]
    fn one_answer_that_is_missing_or_an_error_breaks_an_act() {
        for act in Act::ALL {
            let mut missing = honest(act);
            missing.answers.right -= 1;
            assert!(!hold(act, &missing), "{act:?}");
            let mut wrong = missing;
            wrong.answers.errors += 1;
            wrong.answers.first_error = Some("refused".into());
            assert!(!hold(act, &wrong), "{act:?}");
            assert!(claims(act, &wrong)[0].text.contains("refused"));
        }
    }

    #[test]
    fn more_than_one_replicas_requests_are_not_to_be_lost() {
        let mut tally = honest(Act::Killed);
        tally.lost += 1;
        tally.answers.right -= 1;
        assert!(!hold(Act::Killed, &tally));
    }

    #[test]
    fn the_tiers_numbers_are_checked() {
        let broken = [
            (Act::Together, Numbers { led: 5, followed: 14, fail_opens: 1, ..Numbers::default() }),
            (Act::Back, Numbers { led: 6, followed: 14, ..Numbers::default() }),
            (Act::Killed, Numbers { led: 1, followed: 2, takeovers: 0, ..Numbers::default() }),
            (Act::Killed, Numbers { led: 2, followed: 1, takeovers: 1, ..Numbers::default() }),
            (Act::Stopped, Numbers { fail_opens: 20, open: 3, ..Numbers::default() }),
            (Act::Stopped, Numbers { fail_opens: 19, open: 4, ..Numbers::default() }),
            (Act::Open, Numbers { fail_opens: 20, not_asked: 19, ..Numbers::default() }),
            (Act::Open, Numbers { fail_opens: 20, not_asked: 20, round_trips: 1, ..Numbers::default() }),
        ];
        for (act, numbers) in broken {
            assert!(!hold(act, &Tally { numbers, ..honest(act) }), "{act:?} with {numbers:?}");
        }
    }
}
