//! Renders mails from templates that were all tried at start.

use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use url::Url;

use super::{
    Mail, Rendered, Shop, context, mjml, sample,
    templates::{PARTS, Sources, TemplateError},
};

/// Why one mail could not be rendered. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("{field} is no http or https link: {link:?}")]
    NotALink { field: &'static str, link: String },
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the subject is empty")]
    NoSubject,
}

/// The templates of every mail, compiled.
pub struct Renderer {
    env: Environment<'static>,
}

impl Renderer {
    /// Loads the built-in templates and, over them, the files of `templates_dir`: `<mail>.{subject,txt,mjml}.j2`,
    /// `head.mjml.j2` and `footer.mjml.j2`. Each is compiled and rendered with sample mails.
    ///
    /// # Errors
    /// The first template that does not compile or does not render, with its file, line and reason.
    pub fn new(templates_dir: Option<&Path>) -> Result<Self, TemplateError> {
        let sources = Sources::load(templates_dir)?;
        try_mjml_as_written(&sources)?;

        let mut env = environment();
        for kind in Mail::KINDS {
            for part in ["subject", "txt"] {
                let file = format!("{kind}.{part}.j2");
                add(&mut env, &format!("{kind}.{part}"), sources.get(&file)?.to_owned(), &file)?;
            }
            let file = format!("{kind}.mjml.j2");
            add(&mut env, &format!("{kind}.html"), mjml::compile(&file, &sources)?, &file)?;
        }
        let renderer = Self { env };
        for mail in sample::mails() {
            renderer.render(&mail, &sample::shop()).map_err(|error| match error {
                RenderError::Template(error) => error,
                RenderError::NoSubject => TemplateError::new(&format!("{}.subject.j2", mail.kind()), None, error),
                RenderError::NotALink { .. } => TemplateError::new(mail.kind(), None, error),
            })?;
        }
        Ok(renderer)
    }

    /// Subject, text and HTML of `mail`. Every value is put on one line; in HTML it is escaped.
    ///
    /// # Errors
    /// A link that is neither http nor https, or a template that fails on this mail though it did not on the samples.
    pub fn render(&self, mail: &Mail, shop: &Shop) -> Result<Rendered, RenderError> {
        for (field, link) in mail.links().into_iter().chain([("shop.url", shop.url.as_str())]) {
            let safe = Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !safe {
                return Err(RenderError::NotALink { field, link: link.to_owned() });
            }
        }
        let context = context::of(mail, shop).map_err(|error| TemplateError::new(mail.kind(), None, error))?;
        let part = |part: &str, file: &str| {
            let rendered = self
                .env
                .get_template(&format!("{}.{part}", mail.kind()))
                .and_then(|template| template.render(&context));
            rendered.map_err(|error| TemplateError::jinja(&format!("{}.{file}.j2", mail.kind()), &error))
        };
        let subject = context::one_line(&part("subject", "subject")?);
        if subject.is_empty() {
            return Err(RenderError::NoSubject);
        }
        Ok(Rendered { subject, text: part("txt", "txt")?, html: part("html", "mjml")? })
    }
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    context::extend(&mut env);
    env
}

/// Renders the MJML files as they are written, so that a mistake is reported by the line of the file
/// and not by that of the HTML made from it.
fn try_mjml_as_written(sources: &Sources) -> Result<(), TemplateError> {
    let mut env = environment();
    for mail in sample::mails() {
        let page = format!("{}.mjml.j2", mail.kind());
        let context = context::of(&mail, &sample::shop()).map_err(|error| TemplateError::new(&page, None, error))?;
        for file in PARTS.into_iter().chain([page.as_str()]) {
            add(&mut env, file, sources.get(file)?.to_owned(), file)?;
            let tried = env.get_template(file).and_then(|template| template.render(&context));
            tried.map_err(|error| TemplateError::jinja(file, &error))?;
        }
    }
    Ok(())
}

fn add(env: &mut Environment<'static>, name: &str, source: String, file: &str) -> Result<(), TemplateError> {
    env.add_template_owned(name.to_owned(), source).map_err(|error| TemplateError::jinja(file, &error))
}
