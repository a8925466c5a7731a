//! Tool output as the model sees it, cut by tokens: head and tail stay, the cut is named.

use crate::chat::ChatFormat;

/// `text` in at most `limit` tokens. What is left out is said in the text itself.
pub(crate) fn fit(chat: &dyn ChatFormat, text: &str, limit: usize) -> String {
    let tokens = chat.tokens(text);
    if tokens.len() <= limit {
        return text.to_string();
    }
    // The note's own length depends on the number in it, so room is made until the whole fits. Tokens may also merge
    // or split at the seams.
    let mut keep = limit;
    loop {
        let cut = tokens.len() - keep;
        let head = keep.div_ceil(2);
        let tail = tokens.len() - (keep - head);
        let fitted =
            format!("{}[{cut} tokens cut]{}", chat.text(&tokens[..head]), chat.text(&tokens[tail..]));
        if keep == 0 || chat.tokens(&fitted).len() <= limit {
            return fitted;
        }
        keep -= 1;
    }
}
