//! What a panic said.

use std::any::Any;

/// The message of a caught panic (`std::panic::catch_unwind`, `JoinHandle::join`).
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, panic_any};

    #[test]
    fn panics_say_what_they_said() {
        for (panic, expected) in [
            (catch_unwind(|| panic!("at the {}", "disco")).unwrap_err(), "at the disco"),
            (catch_unwind(|| panic!("plain")).unwrap_err(), "plain"),
            (catch_unwind(|| panic_any(7)).unwrap_err(), "no message"),
        ] {
            assert_eq!(panic_message(&*panic), expected);
        }
    }
}
