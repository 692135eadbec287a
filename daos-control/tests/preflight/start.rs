//! A start refuses early, for the same reasons and in the same words.

use daos_control::config::ConfigError;
use daos_control::preflight::{Finding, Severity, check_host, fit_to_host, rules};

use crate::hosts::{bad, facts, findings, load, pmem_and_nvme, ram_and_nvme};

fn of_start(finding: &&Finding) -> bool {
    let name = finding.rule.as_str();
    // The program is looked for when the server is put together, a moment later.
    name != "engine-program"
        && rules::ALL.iter().any(|rule| rule.row().at_start && rule.row().name == name)
}

#[test]
fn a_start_refuses_what_preflight_calls_an_error_in_the_same_words() {
    for text in [ram_and_nvme("nr_hugepages: 5\n"), pmem_and_nvme("disable_vfio: true\n")] {
        for plane in ["", "data_plane: emulated\n"] {
            let text = format!("{plane}{text}");
            let verdict = check_host(&load(&text), &bad().host);
            let found = findings(&text, &bad());
            let words = |worst: &[Severity]| -> Vec<(i32, String, String, String)> {
                let found = found.iter().filter(of_start);
                let found = found.filter(|each| worst.contains(&each.severity));
                let words = found
                    .map(|each| (each.code, each.key.clone(), each.text.clone(), each.fix.clone()));
                words.collect()
            };
            let refused = verdict.faults.iter().map(|found| {
                let fault = &found.fault;
                (fault.code, found.key.clone(), fault.description.clone(), fault.resolution.clone())
            });
            let refused: Vec<_> = refused.collect();
            assert_eq!(refused, words(&[Severity::Error]));
            assert_eq!(refused.is_empty(), !plane.is_empty(), "{refused:#?}");
            let noticed: Vec<_> = verdict.notices.into_iter().map(|each| each.text).collect();
            let told = words(&[Severity::Warning, Severity::Notice]);
            assert_eq!(noticed, told.into_iter().map(|each| each.2).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_host_that_is_ready_starts_with_every_size_filled_in() {
    let loaded = load(&ram_and_nvme(""));
    let fitted = fit_to_host(&loaded, &facts().host).expect("nothing is wrong");
    assert!(fitted.config.engines.iter().all(|engine| match engine.scm {
        daos_control::config::ScmTier::Ram { size_gib, .. } => size_gib > 50,
        daos_control::config::ScmTier::Dcpm { .. } => false,
    }));
    assert_eq!(fitted.keys.engine_list, "engines");
    let refused = fit_to_host(&loaded, &bad().host).expect_err("nothing is right");
    let ConfigError::Invalid { faults, .. } = refused else { panic!("{refused:?}") };
    let codes: Vec<_> = faults.iter().map(|found| found.fault.code).collect();
    for code in [214, 602, 613, 623, 1475, 1478] {
        assert!(codes.contains(&code), "{code} is not in {codes:?}");
    }
}
