//! From an MJML page with minijinja tags in it to an HTML page with the same tags in it.
//!
//! MJML is compiled once, at start, before any value is known. That is cheap (a send costs one pass of minijinja)
//! and it is also the safe order: a value never goes through the MJML parser, so no customer's name can open or close
//! an element of the page. It is sound because mrml copies text and attributes through untouched, and that is
//! not taken on trust: the tags of the HTML are compared with those of the MJML, and a page where one was lost,
//! altered or moved out of order is refused at start.

use std::collections::BTreeSet;

use mrml::prelude::{
    parser::{Error, Origin, ParserOptions, Span, memory_loader::MemoryIncludeLoader},
    render::RenderOptions,
};

use super::templates::{PARTS, Sources, TemplateError};

/// The HTML of the page `file`, its minijinja tags still to be filled in.
pub(super) fn compile(file: &str, sources: &Sources) -> Result<String, TemplateError> {
    let mut parts = Vec::new();
    for part in PARTS {
        parts.push((part, sources.get(part)?));
    }
    let page = sources.get(file)?;
    let options = ParserOptions { include_loader: Box::new(MemoryIncludeLoader::from(parts.clone())) };
    let parsed = mrml::parse_with_options(page, &options).map_err(|error| refusal(file, sources, &error))?;
    if let Some(warning) = parsed.warnings.first() {
        return Err(at(file, sources, &warning.origin, Some(warning.span), warning.kind.as_str()));
    }
    // No fonts: MJML would have readers fetch them from a third party, which tells it who opened the mail.
    let looks = RenderOptions { fonts: Default::default(), ..RenderOptions::default() };
    let html = parsed.element.render(&looks).map_err(|error| TemplateError::new(file, None, error))?;
    // mrml lets elements that it does not know through, as if they were HTML.
    if let Some(unknown) = html.find("<mj-").and_then(|start| html.get(start..)?.split([' ', '>', '/']).next()) {
        return Err(TemplateError::new(file, line_of(page, unknown), format!("{unknown}> is no element of MJML")));
    }
    parts.retain(|(part, _)| page.contains(part));
    same_tags(file, page, &parts, &html)?;
    Ok(html)
}

fn refusal(file: &str, sources: &Sources, error: &Error) -> TemplateError {
    match error {
        Error::UnexpectedElement { origin, position } => {
            at(file, sources, origin, Some(*position), "this element is not known here")
        }
        Error::UnexpectedToken { origin, position } => at(
            file,
            sources,
            origin,
            Some(*position),
            "text or a tag where MJML expects an element (is one outside <mj-text>, <mj-table> or <mj-raw>?)",
        ),
        Error::MissingAttribute { name, origin, position } => {
            at(file, sources, origin, Some(*position), &format!("the attribute {name:?} is missing"))
        }
        Error::InvalidAttribute { origin, position } => at(file, sources, origin, Some(*position), "invalid attribute"),
        Error::InvalidFormat { origin, position } => at(file, sources, origin, Some(*position), "invalid format"),
        Error::IncludeLoaderError { origin, position, .. } => {
            at(file, sources, origin, Some(*position), &format!("only {} can be included", PARTS.join(" and ")))
        }
        Error::EndOfStream { origin } => at(file, sources, origin, None, "ends before its last element is closed"),
        Error::SizeLimit { origin } => at(file, sources, origin, None, "too large"),
        Error::ParserError { origin, source } => at(file, sources, origin, None, &source.to_string()),
        Error::NoRootNode => TemplateError::new(file, None, "has no <mjml> element"),
    }
}

fn at(file: &str, sources: &Sources, origin: &Origin, position: Option<Span>, reason: &str) -> TemplateError {
    let file = match origin {
        Origin::Root => file,
        Origin::Include { path } => path,
    };
    let line = position.and_then(|span| {
        let before = sources.get(file).ok()?.get(..span.start)?;
        Some(before.matches('\n').count().saturating_add(1))
    });
    TemplateError::new(file, line, reason)
}

/// Every tag of the page and of the parts it includes is in the HTML and the other way round, and what opens and closes
/// blocks stands in the page's order.
fn same_tags(file: &str, page: &str, parts: &[(&str, &str)], html: &str) -> Result<(), TemplateError> {
    for (part, source) in parts {
        if let Some(block) = blocks(source).first() {
            return Err(TemplateError::new(
                part,
                line_of(source, block),
                format!("{block} is for pages: a shared part may only have {{{{ … }}}}"),
            ));
        }
    }
    if let Some(tag) = blocks(page).into_iter().find(|tag| tag.contains("autoescape")) {
        return Err(TemplateError::new(file, line_of(page, tag), "values are always escaped"));
    }
    let written: BTreeSet<&str> = parts.iter().map(|(_, source)| *source).chain([page]).flat_map(tags).collect();
    let kept: BTreeSet<&str> = tags(html).into_iter().collect();
    if let Some(lost) = written.symmetric_difference(&kept).next() {
        return Err(TemplateError::new(
            file,
            line_of(page, lost),
            format!("MJML does not keep {lost} where it stands"),
        ));
    }
    if blocks(page) != blocks(html) {
        return Err(TemplateError::new(file, None, "MJML does not keep the {% … %} tags in their order"));
    }
    Ok(())
}

fn blocks(text: &str) -> Vec<&str> {
    tags(text).into_iter().filter(|tag| tag.starts_with("{%")).collect()
}

/// The minijinja tags of `text`, comments aside, in their order.
fn tags(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((start, close)) = next_tag(rest) {
        let Some(tag) = rest.get(start..) else { break };
        // An unclosed tag: minijinja says so with its line.
        let Some(end) = tag.find(close) else { break };
        let (tag, after) = tag.split_at(end + close.len());
        found.push(tag);
        rest = after;
    }
    found
}

fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    [("{{", "}}"), ("{%", "%}")].into_iter().filter_map(|(open, close)| Some((text.find(open)?, close))).min()
}

fn line_of(page: &str, tag: &str) -> Option<usize> {
    let before = page.get(..page.find(tag)?)?;
    Some(before.matches('\n').count().saturating_add(1))
}
