//! What is worth saying about an engine, each thing once: from its status now and what was said before.

use separator::{EngineState, EngineStatus};

/// How many looks pass between two messages about late hops.
const LOOKS_PER_LATE_MESSAGE: u32 = 20;

/// What a user may want to hear.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// Good to know.
    Info(String),
    /// Something went wrong.
    Warning(String),
    /// Nothing goes any more.
    Error(String),
}

/// What was already said of one engine.
pub(crate) struct Report {
    /// The model that the engine runs, or is loading.
    pub(crate) model_name: String,
    /// Whether another model of that name was meant.
    is_other_version: bool,
    state: EngineState,
    bouncing: Option<EngineState>,
    late_hops: u64,
    looks_until_late_message: u32,
    /// None before the first look: what happened before concerns others.
    num_replaced_workers: Option<u64>,
}

impl Report {
    /// Of an engine that is loading this model.
    pub(crate) fn new(model_name: String, is_other_version: bool) -> Self {
        Report {
            model_name,
            is_other_version,
            state: EngineState::Loading,
            bouncing: None,
            late_hops: 0,
            looks_until_late_message: 0,
            num_replaced_workers: None,
        }
    }

    /// Another model was chosen, and is loading.
    pub(crate) fn expect(&mut self, model_name: String, is_other_version: bool) {
        (self.model_name, self.is_other_version, self.state) = (model_name, is_other_version, EngineState::Loading);
    }

    /// Why the model for bouncing cannot be used, if that is new.
    pub(crate) fn look_at_bouncing(&mut self, status: &EngineStatus) -> Option<String> {
        let is_new = self.bouncing != status.bouncing;
        self.bouncing.clone_from(&status.bouncing);
        match &self.bouncing {
            Some(EngineState::Failed(message)) if is_new => Some(message.clone()),
            _ => None,
        }
    }

    /// What is new.
    pub(crate) fn look_at(&mut self, status: &EngineStatus) -> Option<Message> {
        self.looks_until_late_message = self.looks_until_late_message.saturating_sub(1);
        if self.state != status.state {
            self.state = status.state.clone();
            return match &self.state {
                EngineState::Loading => None,
                EngineState::Running if self.is_other_version => Some(Message::Warning(format!(
                    "Unbraid runs the model '{}', but another version of it than this project was made with. To keep this \
                     one, choose it in the editor",
                    self.model_name
                ))),
                EngineState::Running => Some(Message::Info(format!("Unbraid runs the model '{}'", self.model_name))),
                EngineState::Failed(message) => Some(Message::Error(format!(
                    "Unbraid passes the mix through: {message}. Then switch the plugin off and on again"
                ))),
            };
        }
        let num_replaced = self.num_replaced_workers.replace(status.num_replaced_workers);
        if num_replaced.is_some_and(|num_replaced| num_replaced < status.num_replaced_workers) {
            return Some(Message::Warning(
                "A thread of Unbraid's was ended by something else in this program, and replaced. If that happens again, \
                 please report this"
                    .to_owned(),
            ));
        }
        if status.late_hops > self.late_hops && self.looks_until_late_message == 0 {
            let num_late = status.late_hops - self.late_hops;
            self.late_hops = status.late_hops;
            self.looks_until_late_message = LOOKS_PER_LATE_MESSAGE;
            let how_often = if num_late == 1 { "once".to_owned() } else { format!("{num_late} times") };
            return Some(Message::Warning(format!(
                "Unbraid came late {how_often} and let the mix through instead (load of its thread: {:.0} %). Close \
                 other programs, use fewer instances, or render offline, where nothing is ever late",
                100.0 * status.load
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: EngineState, late_hops: u64) -> EngineStatus {
        EngineStatus { state, bouncing: None, late_hops, load: 0.5, is_overdue: false, num_replaced_workers: 0 }
    }

    #[test]
    fn each_state_is_told_once() {
        let mut report = Report::new("first".into(), false);
        assert_eq!(report.look_at(&status(EngineState::Loading, 0)), None);
        let running = report.look_at(&status(EngineState::Running, 0));
        assert_eq!(running, Some(Message::Info("Unbraid runs the model 'first'".into())));
        assert_eq!(report.look_at(&status(EngineState::Running, 0)), None);
        let failed = status(EngineState::Failed("it broke. Do this".into()), 0);
        match report.look_at(&failed) {
            Some(Message::Error(text)) => assert!(text.contains("it broke. Do this"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(report.look_at(&failed), None);
    }

    #[test]
    fn another_version_and_a_bounce_without_its_model_are_told() {
        let mut report = Report::new("mine".into(), true);
        match report.look_at(&status(EngineState::Running, 0)) {
            Some(Message::Warning(text)) => assert!(text.contains("another version"), "{text}"),
            other => panic!("{other:?}"),
        }
        let mut bouncing = status(EngineState::Running, 0);
        for (state, expected) in [
            (None, None),
            (Some(EngineState::Loading), None),
            (Some(EngineState::Failed("no".into())), Some("no")),
            (Some(EngineState::Failed("no".into())), None),
            (Some(EngineState::Running), None),
        ] {
            bouncing.bouncing = state;
            assert_eq!(report.look_at_bouncing(&bouncing).as_deref(), expected);
        }
    }

    #[test]
    fn a_thread_that_was_replaced_is_told_once() {
        let mut report = Report::new("first".into(), false);
        report.look_at(&status(EngineState::Running, 0));
        report.look_at(&status(EngineState::Running, 0));
        let replaced = EngineStatus { num_replaced_workers: 1, ..status(EngineState::Running, 0) };
        assert!(matches!(report.look_at(&replaced), Some(Message::Warning(text)) if text.contains("replaced")));
        assert_eq!(report.look_at(&replaced), None);
    }

    #[test]
    fn late_hops_are_told_now_and_then() {
        let mut report = Report::new("first".into(), false);
        report.look_at(&status(EngineState::Running, 0));
        let mut texts = Vec::new();
        for look in 1..=LOOKS_PER_LATE_MESSAGE as u64 + 1 {
            texts.extend(report.look_at(&status(EngineState::Running, look)));
        }
        match &texts[..] {
            [Message::Warning(first), Message::Warning(second)] => {
                assert!(first.contains(" once ") && first.contains("50 %"), "{first}");
                assert!(second.contains(&format!(" {LOOKS_PER_LATE_MESSAGE} times")), "{second}");
            }
            other => panic!("{other:?}"),
        }
    }
}
