//! Letters beyond ASCII in their one form.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// The text in lower case and in Unicode's form NFKC, if each of its characters is of
/// ASCII and `allows_ascii`, or a letter, a digit or a mark that is visible. Both are
/// asked before and after, because NFKC turns some characters into several. U+2488, a
/// digit with its full stop, must not become a dot of the address.
pub(super) fn plain(text: &str, allows_ascii: fn(char) -> bool) -> Option<String> {
    let is_plain = |text: &str| {
        text.chars().all(|c| match c.is_ascii() {
            true => allows_ascii(c),
            false => is_visible_letter(c),
        })
    };
    if !is_plain(text) {
        return None;
    }
    if text.is_ascii() {
        return Some(text.to_ascii_lowercase());
    }
    // Lower case can undo the form: U+0130 becomes an `i` and a dot above. It is taken of each
    // character by itself, as DNS does, so that it does not depend on those beside it.
    let lower: String = compose(text).chars().flat_map(char::to_lowercase).collect();
    let lower = compose(&lower);
    let separators = |text: &str| text.chars().filter(char::is_ascii_punctuation).count();
    (is_plain(&lower) && separators(&lower) == separators(text)).then_some(lower)
}

fn compose(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc()
        .normalize_iter(text.chars())
        .collect()
}

/// Whether `c` is a letter, a digit or a mark that people see.
fn is_visible_letter(c: char) -> bool {
    // The standard library also has lower case: of a letter that is too new for it, it
    // would not know the small one.
    (c.is_alphanumeric() || is_mark(c)) && !is_blank(c) && !folds_to_another(c)
}

/// Whether `c` is a mark on the letter before it.
pub(super) fn is_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    GeneralCategoryGroup::Mark.contains(category)
}

/// Letters and marks that leave no trace: fillers of Hangul, the inherent vowels of Khmer,
/// and what selects among the looks of the character before it.
const fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180d}'
            | '\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Letters of which DNS has another one than their lower case: Greek with an iota below,
/// old forms of Greek and Cyrillic letters, and Cherokee, whose capitals are the newer half.
const fn folds_to_another(c: char) -> bool {
    matches!(
        c,
        '\u{345}'
            | '\u{3f2}'
            | '\u{13a0}'..='\u{13ff}'
            | '\u{1c80}'..='\u{1c8f}'
            | '\u{1f80}'..='\u{1faf}'
            | '\u{1fb2}'..='\u{1fb4}'
            | '\u{1fb7}'
            | '\u{1fbc}'
            | '\u{1fc2}'..='\u{1fc4}'
            | '\u{1fc7}'
            | '\u{1fcc}'
            | '\u{1ff2}'..='\u{1ff4}'
            | '\u{1ff7}'
            | '\u{1ffc}'
            | '\u{ab70}'..='\u{abbf}'
            | '\u{1d6d3}'
            | '\u{1d70d}'
            | '\u{1d747}'
            | '\u{1d781}'
            | '\u{1d7bb}'
    )
}
