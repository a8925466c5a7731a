//! Returns the text of single tokens, so that each can be shown and coloured.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

/// Decodes the tokens of a run. Without its tokenizer, tokens are shown as their ids.
pub struct Pieces {
    tokenizer: Option<Tokenizer>,
    looked: Vec<PathBuf>,
}

impl Pieces {
    /// Opens the tokenizer of a run: that of its newest checkpoint, or of the model it started from.
    pub fn of_run(run: &Path, model: Option<&str>) -> Self {
        let checkpoints = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten();
        let mut looked: Vec<PathBuf> = checkpoints.filter_map(|entry| Some(entry.ok()?.path())).collect();
        looked.sort_by(|a, b| b.cmp(a));
        looked.extend(model.map(PathBuf::from));
        let looked: Vec<PathBuf> = looked.into_iter().map(|folder| folder.join("tokenizer.json")).collect();
        let tokenizer = looked.iter().find_map(|path| Tokenizer::from_file(path).ok());
        Self { tokenizer, looked }
    }

    /// Returns the paths that were searched for a tokenizer, if none was found.
    pub fn missing(&self) -> Option<&[PathBuf]> {
        self.tokenizer.is_none().then_some(&self.looked)
    }

    /// Returns one text per token; together they are the whole text. A token that ends inside a character has
    /// an empty text, and the token that completes the character has all of it.
    pub fn of(&self, tokens: &[u32]) -> Vec<String> {
        let Some(tokenizer) = &self.tokenizer else {
            return tokens.iter().map(|token| format!("[{token}]")).collect();
        };
        let mut stream = tokenizer.decode_stream(false);
        let mut pieces: Vec<String> =
            tokens.iter().map(|&token| stream.step(token).ok().flatten().unwrap_or_default()).collect();
        // The last character is incomplete.
        if let Some(last) = pieces.last_mut().filter(|last| last.is_empty()) {
            *last = "\u{fffd}".into();
        }
        pieces
    }

    /// Returns the text of tokens.
    pub fn text(&self, tokens: &[u32]) -> String {
        match &self.tokenizer {
            // Some decoders of the library fail on an empty list.
            Some(tokenizer) if !tokens.is_empty() => tokenizer.decode(tokens, false).unwrap_or_default(),
            Some(_) => String::new(),
            None => self.of(tokens).concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Pieces {
        Pieces::of_run(Path::new("nowhere"), Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny")))
    }

    #[test]
    fn pieces_are_the_text_cut_at_tokens() {
        let pieces = tiny();
        let tokenizer = pieces.tokenizer.as_ref().unwrap();
        for text in ["46+2*(3-1)\n```python\nprint(3+2)\n```", "é 漢字 <script>alert(1)</script>", "  a  b"]
        {
            let tokens = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            let cut = pieces.of(&tokens);
            assert_eq!((cut.len(), cut.concat().as_str()), (tokens.len(), text));
            assert_eq!(pieces.text(&tokens), text);
        }
        let half = tokenizer.encode("é", false).unwrap().get_ids()[..1].to_vec();
        assert_eq!(pieces.of(&half), ["\u{fffd}"], "bytes that are no text are shown as such");
    }

    #[test]
    fn without_a_tokenizer_ids_are_shown_and_the_places_are_known() {
        let pieces = Pieces::of_run(Path::new("nowhere"), Some("models/gone"));
        assert_eq!(pieces.of(&[7, 9]), ["[7]", "[9]"]);
        assert_eq!(pieces.missing(), Some(&[PathBuf::from("models/gone/tokenizer.json")][..]));
    }
}
