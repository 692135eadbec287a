//! Prepares and resets that are killed, or lose power, between any two things that the kernel does for them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::super::fake_kernel::{Cut, FakeKernel};
use super::{A, B, everything, nothing_is_recorded, prepare, reset, two_cards};

/// Cuts off `work` after `steps` steps of the kernel. Whether it was cut.
fn cut(kernel: &FakeKernel, steps: u32, work: impl FnOnce()) -> bool {
    kernel.steps.set(Some(steps));
    let ended = catch_unwind(AssertUnwindSafe(work));
    kernel.steps.set(None);
    ended.is_err_and(|why| {
        assert!(why.is::<Cut>(), "another reason than the cut");
        true
    })
}

#[test]
fn a_reset_restores_everything_after_a_prepare_that_was_killed_at_any_step() {
    for steps in 0.. {
        let kernel = two_cards();
        kernel.set_pages(0, 3);
        let before = kernel.snapshot();
        let was_cut = cut(&kernel, steps, || drop(prepare(&kernel, &everything())));
        reset(&kernel);
        assert_eq!(kernel.snapshot(), before, "after {steps} steps");
        assert!(nothing_is_recorded(&kernel), "after {steps} steps");
        if !was_cut {
            assert!(steps > 10, "{steps} steps are no whole prepare");
            break;
        }
    }
}

#[test]
fn a_reset_that_was_killed_at_any_step_is_ended_by_the_next_one() {
    for steps in 0.. {
        let kernel = two_cards();
        kernel.set_pages(1, 5);
        let before = kernel.snapshot();
        prepare(&kernel, &everything()).unwrap();
        let was_cut = cut(&kernel, steps, || drop(reset(&kernel)));
        reset(&kernel);
        assert_eq!(kernel.snapshot(), before, "after {steps} steps");
        assert!(nothing_is_recorded(&kernel), "after {steps} steps");
        if !was_cut {
            break;
        }
    }
}

#[test]
fn a_prepare_that_was_killed_at_any_step_is_ended_by_the_next_one() {
    let done = {
        let kernel = two_cards();
        prepare(&kernel, &everything()).unwrap();
        drivers_and_pages(&kernel)
    };
    for steps in 0.. {
        let kernel = two_cards();
        let before = kernel.snapshot();
        let was_cut = cut(&kernel, steps, || drop(prepare(&kernel, &everything())));
        prepare(&kernel, &everything()).unwrap();
        assert_eq!(drivers_and_pages(&kernel), done, "after {steps} steps");
        reset(&kernel);
        assert_eq!(kernel.snapshot(), before, "after {steps} steps");
        if !was_cut {
            break;
        }
    }
}

fn drivers_and_pages(kernel: &FakeKernel) -> Vec<String> {
    let snapshot = kernel.snapshot();
    [A, B, "node 0", "node 1"].map(|key| snapshot[key].clone()).to_vec()
}

#[test]
fn a_power_cut_at_any_step_leaves_a_host_that_a_reset_does_not_touch() {
    for steps in 0.. {
        let kernel = two_cards();
        let was_cut = cut(&kernel, steps, || drop(prepare(&kernel, &everything())));
        kernel.boots("second");
        kernel.set_pages(1, 77);
        kernel.use_namespace(B, true);
        let before = kernel.snapshot();
        reset(&kernel);
        assert_eq!(kernel.snapshot(), before, "after {steps} steps");
        assert!(nothing_is_recorded(&kernel), "after {steps} steps");
        if !was_cut {
            break;
        }
    }
}
