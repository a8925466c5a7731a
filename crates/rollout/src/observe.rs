//! Cuts tool output by tokens: head and tail stay, and a note names the cut.

use crate::chat::ChatFormat;

/// Returns `text` in at most `limit` tokens. A note names the omitted part, if the limit has room for it.
pub(crate) fn fit(chat: &dyn ChatFormat, text: &str, limit: usize) -> String {
    let tokens = chat.tokens(text);
    if tokens.len() <= limit {
        return text.to_string();
    }
    // The note's length depends on the number in it, and tokens may merge or split at the seams. The loop
    // makes room until the whole fits.
    for keep in (0..=limit).rev() {
        let head = keep.div_ceil(2);
        let tail = tokens.len() - (keep - head);
        let cut = tail - head;
        let fitted =
            format!("{}[{cut} tokens cut]{}", chat.text(&tokens[..head]), chat.text(&tokens[tail..]));
        if chat.tokens(&fitted).len() <= limit {
            return fitted;
        }
    }
    // Without room for the note, only the head is kept.
    (0..=limit)
        .rev()
        .map(|keep| chat.text(&tokens[..keep]))
        .find(|head| chat.tokens(head).len() <= limit)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::chat;

    #[test]
    fn head_and_tail_stay_and_the_cut_is_named() {
        let chat = chat();
        let text = (0..500).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let fitted = fit(&chat, &text, 60);
        assert!(fitted.starts_with("0\n1\n") && fitted.ends_with("498\n499"), "{fitted}");
        let named = fitted.split_once('[').unwrap().1.split_once(" tokens cut]").unwrap().0;
        let kept = fitted.replace(&format!("[{named} tokens cut]"), "");
        let (all, cut): (usize, usize) = (chat.tokens(&text).len(), named.parse().unwrap());
        // Tokens of the two ends may merge where the note was.
        assert!(chat.tokens(&kept).len() <= all - cut && chat.tokens(&kept).len() + 4 >= all - cut);
        assert_eq!(fit(&chat, "short", 60), "short");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_observation_is_over_its_limit(text in "(\\PC|\n){0,200}", limit in 0_usize..120) {
            let chat = chat();
            let fitted = fit(&chat, &text, limit);
            prop_assert!(chat.tokens(&fitted).len() <= limit);
            prop_assert!(chat.tokens(&text).len() > limit || fitted == text);
        }
    }
}
