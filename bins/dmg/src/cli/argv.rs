//! Things that are known before arguments are parsed. Pure.

use std::ffi::OsString;

/// Rewrites what has another meaning after one command than after all others: `server set-logmasks -d` means streams
/// there, while `-d` elsewhere means debug; `system events -f` follows and `storage prepare -f` asks nothing, while `-f` elsewhere is
/// the file of hosts.
pub fn stock_forms(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_events = |pair: &[OsString]| match pair {
        [system, events] => {
            ["system", "sys", "sy"].iter().any(|word| system == word)
                && ["events", "ev"].iter().any(|word| events == word)
        }
        _ => false,
    };
    let events = arguments.windows(2).position(is_events);
    let after_events = events.map_or(usize::MAX, |index| index + 2);
    let is_prepare = |pair: &[OsString]| match pair {
        [storage, prepare] => {
            ["storage", "sto", "st"].iter().any(|word| storage == word)
                && ["prepare", "p"].iter().any(|word| prepare == word)
        }
        _ => false,
    };
    let prepare = arguments.windows(2).position(is_prepare);
    let after_prepare = prepare.map_or(usize::MAX, |index| index + 2);
    let after_command = arguments
        .iter()
        .position(|argument| argument == "set-logmasks" || argument == "slm")
        .map_or(usize::MAX, |index| index + 1);
    let rewrite = |(index, argument): (usize, OsString)| match argument.to_str() {
        Some("-f") if index >= after_events => "--follow".into(),
        Some("-f") if index >= after_prepare => "--force".into(),
        Some("-d") if index >= after_command => "--streams".into(),
        Some(text) if index >= after_command && text.starts_with("-d") => {
            let value = text.trim_start_matches("-d").trim_start_matches('=');
            format!("--streams={value}").into()
        }
        _ => argument,
    };
    arguments.into_iter().enumerate().map(rewrite).collect()
}

/// Whether JSON is wanted, also when the arguments turn out to be wrong: the envelope is printed then too (contract
/// 8.3).
pub fn asks_for_json(arguments: &[OsString]) -> bool {
    let texts = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    texts.take_while(|text| *text != "--").any(|text| {
        let letters = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        // Letters of a bundle before one that takes a value.
        let flags =
            letters.map(|rest| rest.split(['l', 'f', 'o', 'r', 'p', 'm', 's', 'u', 'w']).next());
        text == "--json" || flags.flatten().is_some_and(|flags| flags.contains('j'))
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{asks_for_json, stock_forms};

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn streams_have_their_stock_letter() {
        let cases = [
            ("dmg server set-logmasks -d MGMT", "dmg server set-logmasks --streams MGMT"),
            ("dmg -d srv slm -dMGMT -m ERR", "dmg -d srv slm --streams=MGMT -m ERR"),
            ("dmg -d system query -d", "dmg -d system query -d"),
            ("dmg -f hosts system events -f", "dmg -f hosts system events --follow"),
            ("dmg sys ev --after 3 -f", "dmg sys ev --after 3 --follow"),
            ("dmg sto p -n -f", "dmg sto p -n --force"),
            ("dmg -f hosts storage prepare -n", "dmg -f hosts storage prepare -n"),
            ("dmg system query -f hosts", "dmg system query -f hosts"),
        ];
        for (given, wanted) in cases {
            assert_eq!(stock_forms(words(given)), words(wanted), "{given}");
        }
    }

    #[test]
    fn json_is_noticed_before_parsing() {
        for yes in ["dmg -j x", "dmg x --json", "dmg -ij x"] {
            assert!(asks_for_json(&words(yes)), "{yes}");
        }
        for no in ["dmg x", "dmg -J x", "dmg -- -j", "dmg --jso", "dmg -ljoe x", "-j"] {
            assert!(!asks_for_json(&words(no)), "{no}");
        }
    }
}
