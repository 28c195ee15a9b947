//! Reports: one run of a scan, as a table, JSON, SARIF, CycloneDX, JUnit or one page of HTML. Pure: values in, text out.

mod cyclonedx;
mod document;
mod error;
mod gather;
mod grade;
mod html;
mod json;
mod junit;
mod purl;
mod sarif;
mod summary;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use document::{Asked, Document, HostReport, PolicyUsed, SCHEMA};
pub use error::Error;
pub use grade::Grade;
pub use json::write_each;
pub use summary::{CheckCounts, Gap, GradeCounts, HostCounts, HostSummary, Outcome, Summary};

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For a terminal.
    Table,
    /// The document itself with its summary; `docs/scan-schema.json` describes it.
    Json,
    /// SARIF 2.1.0: what failed and what is vulnerable, for viewers of findings.
    Sarif,
    /// CycloneDX 1.6: the packages of each host and their vulnerabilities.
    CycloneDx,
    /// JUnit's XML, for build servers.
    Junit,
    /// One page that needs nothing beside itself.
    Html,
}

impl Format {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Table, Self::Json, Self::Sarif, Self::CycloneDx, Self::Junit, Self::Html];

    /// Whether it tells facts themselves, and not only how many there are and what is missing of them.
    pub fn tells_facts(self) -> bool {
        matches!(self, Self::Json | Self::CycloneDx | Self::Html)
    }

    /// The word that people write.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::CycloneDx => "cyclonedx",
            Self::Junit => "junit",
            Self::Html => "html",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|f| f.as_str() == word).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|f| f.as_str()).collect();
            format!("`{}` is no format: write one of {}", text::line(word, 40), words.join(", "))
        })
    }
}

/// How a table is drawn. The other formats do not look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours beside the words.
    pub colour: bool,
    /// Columns of the terminal, 40 at the least; `None`: lines are as long as they get.
    pub width: Option<u16>,
    /// Signs beyond ASCII.
    pub unicode: bool,
}

/// A run of a scan as text.
///
/// # Errors
/// A document of a layout that this version does not know.
pub fn write(document: &Document, format: Format, style: &Style) -> Result<String, Error> {
    let mut out = String::new();
    write_to(document, format, style, &mut out)?;
    Ok(out)
}

/// A run of a scan as text, piece by piece: what is held in memory beside the document is a table of what belongs together.
///
/// # Errors
/// A document of a layout that this version does not know; `out` takes no more.
pub fn write_to(document: &Document, format: Format, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    if document.schema != SCHEMA {
        return Err(Error::Schema(text::line(&document.schema, 40)));
    }
    match format {
        Format::Table => table::write(document, style, out),
        Format::Json => json::write(document, out),
        Format::Sarif => sarif::write(document, out),
        Format::CycloneDx => cyclonedx::write(document, out),
        Format::Junit => junit::write(document, out),
        Format::Html => html::write(document, out),
    }
}
