//! The audio thread makes no system call (so it takes no lock that could sleep, either): it runs under a seccomp
//! filter that ends it at the first one.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;
use common::*;
use separator::{AudioSide, testing::TestModel};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// From here on, any system call but `exit` ends this thread.
fn forbid_system_calls() {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SKIP_NEXT_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = [
        step(LOAD_NUMBER, 0, 0),
        step(SKIP_NEXT_IF_EQUAL, 1, libc::SYS_exit as u32),
        step(RETURN, 0, libc::SECCOMP_RET_KILL_THREAD),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is valid and read during the call; both calls concern this thread only.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// Whether `action` gets through without a system call, and within `patience`.
fn makes_no_system_call(patience: Duration, action: impl FnOnce() + Send + 'static) -> bool {
    let (started, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (thread_started, thread_done) = (started.clone(), done.clone());
    // The thread is never joined: it cannot end in the ordinary way, which takes system calls.
    std::thread::spawn(move || {
        thread_started.store(true, Ordering::SeqCst);
        forbid_system_calls();
        action();
        thread_done.store(true, Ordering::SeqCst);
        // SAFETY: ends this thread and nothing else.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    });
    let start = Instant::now();
    while !done.load(Ordering::SeqCst) && start.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(started.load(Ordering::SeqCst));
    done.load(Ordering::SeqCst)
}

/// Random blocks at about the speed of sound cards, with resets between; busy loops take the place of sleeping.
fn perform(audio: &mut AudioSide, num_in_time: &AtomicU64) {
    let mut random = Random::new(1);
    let input = [[0.1; 1024]; 2];
    let mut output = [[[0.0; 1024]; 2]; 5];
    for block in 0..300 {
        let len = (random.next() % 1025) as usize;
        let begin = Instant::now();
        let [delayed, vocals, drums, bass, other] =
            output.each_mut().map(|stereo| stereo.each_mut().map(|channel| &mut channel[..len]));
        let input = input.each_ref().map(|channel| &channel[..len]);
        let status = audio.process_into(input, delayed, &mut [vocals, drums, bass, other], false);
        num_in_time.fetch_add(u64::from(status.num_missing == 0), Ordering::Relaxed);
        if block % 125 == 124 {
            audio.reset();
        }
        // Never ahead of the clock, by a margin that is no multiple of anything. Nor does it catch up when the machine was
        // busy: that would be a burst.
        while begin.elapsed().as_secs_f64() * 48e3 < 1.01 * len as f64 {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn process_and_reset_make_no_system_call() {
    let (_dir, model) = write_model(&TestModel::identity());
    for kill in [false, true] {
        let (engine, mut audio) = start(&model, 48e3, 1024);
        wait_until_running(&engine);
        if kill {
            engine.kill_worker();
        }
        let num_in_time = Arc::new(AtomicU64::new(0));
        let counter = num_in_time.clone();
        // Forgotten on purpose: freeing memory may be a system call.
        let clean = makes_no_system_call(Duration::from_secs(60), move || {
            perform(&mut audio, &counter);
            std::mem::forget(audio);
        });
        assert!(clean, "a system call on the audio thread (worker killed: {kill})");
        println!("{num_in_time:?} of 300 blocks had all their stems");
        assert!(num_in_time.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn the_check_itself_finds_system_calls() {
    assert!(makes_no_system_call(Duration::from_secs(60), || ()));
    assert!(!makes_no_system_call(Duration::from_secs(2), || std::thread::sleep(Duration::from_micros(1))));
}
