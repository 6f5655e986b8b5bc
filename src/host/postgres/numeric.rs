//! NUMERIC: its binary form to text, digit for digit, and whether a text is a number.

use super::decode::Malformed;

/// What `sign` says besides positive (0) and negative.
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const NEGATIVE_INFINITE: u16 = 0xF000;

/// As PostgreSQL itself writes it, trailing zeros included.
pub(super) fn decode(raw: &[u8]) -> Result<String, Malformed> {
    let mut words = raw
        .chunks_exact(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    let mut word = || words.next().ok_or(Malformed);
    let (count, weight, sign, scale) = (word()?, word()?.cast_signed(), word()?, usize::from(word()?));
    match sign {
        0 | NEGATIVE => {}
        NOT_A_NUMBER => return Ok("NaN".into()),
        INFINITE => return Ok("Infinity".into()),
        NEGATIVE_INFINITE => return Ok("-Infinity".into()),
        _ => return Err(Malformed),
    }
    let groups = (0..count).map(|_| word()).collect::<Result<Vec<_>, _>>()?;
    // Each group is four decimal digits. They are a window into the number: absent ones on either side are zero.
    let group = |position: i32| {
        let index = usize::try_from(i32::from(weight) - position).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    text.push_str(&group(i32::from(weight.max(0))).to_string());
    for position in (0..i32::from(weight.max(0))).rev() {
        text.push_str(&format!("{:04}", group(position)));
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut position = -1;
        while text.len() < end {
            text.push_str(&format!("{:04}", group(position)));
            position -= 1;
        }
        text.truncate(end);
    }
    Ok(text)
}

/// Whether PostgreSQL would read it as a number. It goes to the server as text, so that no digit is lost.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["infinity", "inf"]
        .iter()
        .any(|name| unsigned.eq_ignore_ascii_case(name))
    {
        return true;
    }
    if text.eq_ignore_ascii_case("nan") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_is_fine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let head = [groups.len() as u16, weight.cast_unsigned(), sign, scale];
        head.iter()
            .chain(groups)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn every_digit_is_kept() {
        for (raw, text) in [
            (wire(0, 0, 0, &[]), "0"),
            (wire(0, 0, 3, &[]), "0.000"),
            (wire(0, 0, 2, &[12, 3400]), "12.34"),
            (wire(0, NEGATIVE, 2, &[12, 3400]), "-12.34"),
            (wire(0, 0, 4, &[1, 5000]), "1.5000"),
            (wire(1, 0, 0, &[1]), "10000"),
            (wire(2, 0, 0, &[1, 0, 7]), "100000007"),
            (wire(-1, 0, 5, &[1, 2000]), "0.00012"),
            (wire(-3, 0, 12, &[1]), "0.000000000001"),
            (
                wire(
                    7,
                    0,
                    10,
                    &[123, 4567, 8901, 2345, 6789, 123, 4567, 8901, 1234, 5678, 9000],
                ),
                "1234567890123456789012345678901.1234567890",
            ),
        ] {
            assert_eq!(decode(&raw).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_finite_number_has_a_name() {
        assert_eq!(decode(&wire(0, NOT_A_NUMBER, 0, &[])).unwrap(), "NaN");
        assert_eq!(decode(&wire(0, INFINITE, 32, &[])).unwrap(), "Infinity");
        assert_eq!(decode(&wire(0, NEGATIVE_INFINITE, 32, &[])).unwrap(), "-Infinity");
    }

    #[test]
    fn a_malformed_number_is_refused() {
        assert!(decode(&[]).is_err());
        assert!(decode(&wire(0, 7, 0, &[])).is_err());
        let short = wire(0, 0, 0, &[1]);
        assert!(decode(&short[..8]).is_err());
    }

    #[test]
    fn numbers_are_told_from_other_text() {
        for text in [
            "0", "-1.50", "+.5", "5.", "1e10", "1.5E-3", "NaN", "nan", "Infinity", "-inf",
        ] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", ".", "-", "1,5", "1.2.3", "e5", "1e", "1e+", " 1", "0x10", "-NaN", "1}", "½",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
