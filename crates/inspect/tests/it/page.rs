//! The page in a real browser.

use crate::browser::Browser;
use crate::made;

const READY: &str = "document.body.dataset.ready !== undefined && document.querySelector('.turn')";

#[test]
fn what_a_model_wrote_is_shown_and_never_run() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let url = made::serve(&[folder.path()]);
    // Sample 3 has the markup in its text, 1 in a violation, 2 in tool output; every second task in its name.
    for (id, place) in [(3, ".turn .tokens"), (1, ".call.malformed"), (2, ".output"), (4, "h2")] {
        browser.open("about:blank");
        browser.open(&format!("{url}#id={id}"));
        browser.wait(READY);
        let text = browser
            .eval(&format!("[...document.querySelectorAll({place:?})].map(one => one.textContent).join('')"));
        assert!(text.as_str().unwrap().contains(made::HOSTILE), "{place}: {text}");
        assert_eq!(browser.eval("document.querySelectorAll('img, body script').length"), 0);
        assert!(browser.eval("document.title").as_str().unwrap().ends_with("· turnwise"));
    }
    assert_eq!(
        browser.complaints(),
        Vec::<String>::new(),
        "the policy refused nothing, because nothing was tried"
    );
    // If markup ever got in, the policy would still not run it.
    browser.eval("document.body.append(Object.assign(document.createElement('div'), {innerHTML: \"<img src=x onerror=document.title='taken'>\"}))");
    browser.wait("document.querySelector('img').complete");
    assert_ne!(browser.eval("document.title"), "taken");
    assert!(browser.complaints().iter().any(|line| line.contains("Content Security Policy")));
}

#[test]
fn keys_search_filters_and_colours_work() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "marker-one");
    let url = made::serve(&[folder.path()]);
    let sub = |browser: &Browser| browser.eval("document.querySelector('.reader .sub').textContent");
    let reads = |text: &str| {
        browser.wait(&format!("document.querySelector('.reader .sub').textContent.includes({text:?})"));
    };
    browser.open(&url);
    browser.wait(READY);
    assert_eq!(browser.eval("document.querySelector('#total').textContent"), "24 rollouts");
    assert!(sub(&browser).as_str().unwrap().starts_with("step 1 · sample 0 · gtpo"), "{}", sub(&browser));
    browser.keys("jj");
    reads("sample 2");
    browser.keys("k");
    reads("sample 1");
    browser.keys("n");
    reads("sample 2");
    browser.keys("]");
    reads("step 2 · sample 0");
    assert_eq!(browser.eval("document.querySelector('#total').textContent"), "8 rollouts");
    // Escape, then the search.
    browser.keys("\u{e00c}/marker-one");
    browser.wait("document.querySelector('#total').textContent === '6 rollouts'");
    reads("sample 3");
    browser.keys("\u{e00c}\u{e00c}f");
    browser.wait("document.querySelector('#filter').value === 'wrong'");
    browser.wait("document.querySelector('#total').textContent === '12 rollouts'");
    assert_eq!(browser.eval("document.querySelectorAll('.line.right').length"), 0);
    browser.keys("c");
    browser.wait("document.querySelector('#colour').value === 'advantage'");
    assert_ne!(browser.eval("document.querySelectorAll('.turn .tokens .n5, .turn .tokens .n1').length"), 0);
    browser.keys("ccc");
    assert_eq!(browser.eval("document.querySelector('#colour').value"), "none");
    browser.eval("document.querySelector('.turn .tokens .t').dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))");
    let told = browser.eval("document.querySelector('#token').textContent");
    assert!(
        told.as_str().unwrap().contains("log p") && told.as_str().unwrap().contains("ratio 1.3499"),
        "{told}"
    );
    // The address holds the view.
    let address = browser.eval("location.hash");
    assert!(address.as_str().unwrap().contains("filter=wrong"), "{address}");
    browser.keys("?");
    browser.wait("document.querySelector('#dialog').open");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn two_runs_stand_side_by_side_on_the_same_task() {
    let Some(browser) = Browser::start() else { return };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    made::small(first.path(), "from-the-first");
    made::small(second.path(), "from-the-second");
    let url = made::serve(&[first.path(), second.path()]);
    browser.open(&format!("{url}#id=3"));
    browser.wait(READY);
    assert_eq!(browser.eval("document.querySelector('#reader-1').hidden"), true);
    browser.keys("x");
    let side = |at: u8, text: &str| {
        browser.wait(&format!("document.querySelector('#reader-{at}').textContent.includes({text:?})"));
    };
    side(0, "from-the-first");
    side(1, "from-the-second");
    browser.keys("2");
    side(0, "sample 0");
    browser.keys("jjj");
    side(0, "from-the-second");
    side(1, "from-the-first");
    browser.keys("i");
    browser.wait("document.querySelector('#dialog').textContent.includes('Settings that differ')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn rewards_stand_by_name_beside_their_turns() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    made::rewarded(folder.path());
    let url = made::serve(&[folder.path()]);
    browser.open(&format!("{url}#id=0"));
    browser.wait(READY);
    let credit = "[...document.querySelectorAll('.turn .credit')].map(one => one.textContent).join(' ')";
    let text = browser.eval(credit);
    let text = text.as_str().unwrap();
    for part in ["progress0.250", &format!("{}−2.000", made::HOSTILE), "progress0.500", "acc0.750"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("fmt"), "that is the chip of a violation: {text}");
    let curves = browser.eval("document.querySelector('#curves').textContent");
    let counted = ["prefix kept0.75", "sequences3", "sequences diverged1", "sequences masked2"];
    for part in ["reward of progress"].into_iter().chain(counted) {
        assert!(curves.as_str().unwrap().contains(part), "{part}: {curves}");
    }
    assert_eq!(browser.eval("document.querySelectorAll('img, body script').length"), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_list_of_a_hundred_thousand_scrolls() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    made::large(folder.path(), 100_000);
    let url = made::serve(&[folder.path()]);
    browser.open(&url);
    browser.wait(READY);
    assert_eq!(browser.eval("document.querySelector('#total').textContent"), "100,000 rollouts");
    let most = "document.querySelectorAll('.line').length";
    assert!(browser.eval(most).as_u64().unwrap() < 80, "rows out of sight don't exist");
    browser.eval("document.querySelector('#scroll').scrollTop = 1e9");
    browser.wait("document.querySelector('#row-99999')");
    assert!(browser.eval(most).as_u64().unwrap() < 120);
    browser.eval("document.querySelector('#row-99999').click()");
    browser.wait("document.querySelector('.reader h2').textContent.includes('task/12499')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn conversations_without_tokens_are_text_and_never_markup() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("played.jsonl");
    std::fs::write(&file, made::conversation()).unwrap();
    let run = turnwise_inspect::Run::of_conversations(&file);
    let url = made::serve_runs(vec![run]);
    browser.open(&url);
    browser.wait(READY);
    for place in [".prompt .tokens", ".turn .tokens", ".output"] {
        let text = browser.eval(&format!("document.querySelector({place:?}).textContent"));
        assert!(text.as_str().unwrap().contains(made::HOSTILE), "{place}: {text}");
    }
    let sub = browser.eval("document.querySelector('.reader .sub').textContent");
    assert!(sub.as_str().unwrap().contains("played, not learnt from"), "{sub}");
    browser.keys("c");
    assert_eq!(browser.eval("document.querySelectorAll('img, body script').length"), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_branch_is_followed_as_the_model_read_it() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    made::branched(folder.path());
    let url = made::serve(&[folder.path()]);
    browser.open(&url);
    browser.wait(READY);
    let shown = || {
        let turns = "[...document.querySelectorAll('#reader-0 .turn')]";
        browser.eval(&format!(
            "{turns}.filter(one => !one.hidden).map(one => one.querySelector('h3').textContent).join()"
        ))
    };
    assert_eq!(shown(), "Turn 1,Turn 2,Turn 3,Turn 4");
    let text = |place: &str| browser.eval(&format!("document.querySelector({place:?}).textContent"));
    assert!(text("#reader-0 .branches").as_str().unwrap().contains("1 → 4"));
    for expect in ["Turn 1,Turn 2", "Turn 3", "Turn 1,Turn 4", "Turn 1,Turn 2,Turn 3,Turn 4"] {
        browser.keys("b");
        assert_eq!(shown(), expect);
    }
    let last = text("#reader-0 .turn:last-child");
    for expect in ["continues turn 1", "other tokens than were sampled", "left out of the loss", "again"] {
        assert!(last.as_str().unwrap().contains(expect), "{last}");
    }
    // The address keeps it.
    browser.keys("bbb");
    let address = browser.eval("location.href");
    assert!(address.as_str().unwrap().contains("branch=3"), "{address}");
    for (branch, expect) in [("branch=3", "Turn 1,Turn 4"), ("branch=9", "Turn 1,Turn 2,Turn 3,Turn 4")] {
        browser.open("about:blank");
        browser.open(&address.as_str().unwrap().replace("branch=3", branch));
        browser.wait(READY);
        assert_eq!(shown(), expect, "{branch}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
