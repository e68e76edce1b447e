//! Which of two representations a request would rather have (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// The best of `offered` (such as `text/html`; the first of equals) for the request's `Accept`; none when it takes none of
/// them. Without the header everything is welcome.
pub(super) fn choose<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<Range<'_>> = values.iter().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(u16, &str)> = None;
    for kind in offered {
        let weight = weight_of(kind, &ranges);
        if weight > best.map_or(0, |(most, _)| most) {
            best = Some((weight, kind));
        }
    }
    best.map(|(_, kind)| kind)
}

/// What one range of the header says.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// None for what is no range: it names nothing that is offered.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))
        });
        // A weight that is none is no wish.
        Some(Self { main, sub, weight: weight.unwrap_or(Some(1000))? })
    }

    /// How closely the range names the kind, if it does: 3 exactly, 2 by its main type, 1 as anything.
    fn closeness(&self, kind: &str) -> Option<u8> {
        let (main, sub) = kind.split_once('/')?;
        match (self.main, self.sub) {
            ("*", "*") => Some(1),
            (ours, "*") => ours.eq_ignore_ascii_case(main).then_some(2),
            (ours, of_ours) => (ours.eq_ignore_ascii_case(main) && of_ours.eq_ignore_ascii_case(sub)).then_some(3),
        }
    }
}

/// The weight that the closest range gives the kind.
fn weight_of(kind: &str, ranges: &[Range<'_>]) -> u16 {
    let named = ranges.iter().filter_map(|range| Some((range.closeness(kind)?, range.weight)));
    named.max().map_or(0, |(_, weight)| weight)
}

/// `0`, `1`, and between them up to three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !["0", "1"].contains(&whole) || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let weight: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const OFFERED: [&str; 2] = ["text/html", "application/json"];

    fn chosen(accept: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        choose(&headers, &OFFERED)
    }

    #[test]
    fn the_first_that_is_offered_goes_to_whoever_does_not_mind() {
        for accept in
            [&[][..], &["*/*"], &[""], &["text/html, application/json"], &["TEXT/*;q=0.5, application/json;q=0.5"]]
        {
            assert_eq!(chosen(accept), Some("text/html"), "{accept:?}");
        }
    }

    #[test]
    fn the_heavier_wish_is_met() {
        for accept in [
            &["application/json"][..],
            &["text/html;q=0.8, application/json;q=0.801"],
            &["text/html;q=0.8", "application/json"],
            &["application/*, text/html;q=0.9"],
            // What is named closely counts, not what is said first or weighs more.
            &["*/*, text/html;q=0.1, application/json;q=0.2"],
            &["text/html;q=0, */*;q=0.1"],
            &["application/json;charset=utf-8;q=1.000"],
        ] {
            assert_eq!(chosen(accept), Some("application/json"), "{accept:?}");
        }
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(chosen(&[browser]), Some("text/html"));
    }

    #[test]
    fn who_takes_neither_gets_neither() {
        for accept in ["application/pdf", "text/plain, image/*", "*/*;q=0", "text/html;q=0.000, application/json;q=0"] {
            assert_eq!(chosen(&[accept]), None, "{accept}");
        }
    }

    #[test]
    fn what_is_no_wish_is_passed_over() {
        for accept in
            ["html, application/json", "text/html;q=2, application/json", "text/html;q=high, application/json"]
        {
            assert_eq!(chosen(&[accept]), Some("application/json"), "{accept}");
        }
        assert_eq!(thousandths("0.05"), Some(50));
        assert_eq!([thousandths("1.001"), thousandths("0.0001"), thousandths("-1"), thousandths("")], [None; 4]);
    }
}
