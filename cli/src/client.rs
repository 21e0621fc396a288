//! Asks the local node through its HTTP API.
//!
//! While it runs, a node keeps `<data-dir>/node.json`, from which this client learns where it is:
//!
//! ```json
//! {"kind":"standfast/node/v1","process":4711,"api":"http://127.0.0.1:7412"}
//! ```

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use standfast_node::file;
use standfast_protocol::limits;

use crate::error::{CliError, CliResult, Exit};

/// Bytes in an answer of the node: at most a bundle.
const ANSWER_SIZE_MAX: u64 = limits::BUNDLE_SIZE_MAX as u64;
/// A node on this machine answers in milliseconds; a cold one replays first.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a running node is, written by the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// `standfast/node/v1`.
    pub kind: String,
    /// The process's number.
    pub process: u32,
    /// The URL of its API; `None` when that is off.
    pub api: Option<String>,
}

impl NodeFile {
    /// The file's name in the data directory.
    pub const NAME: &'static str = "node.json";
    /// The document's kind.
    pub const KIND: &'static str = "standfast/node/v1";

    /// Reads the file; `None` when no node has written one.
    pub fn read(data_dir: &Path) -> CliResult<Option<Self>> {
        let path = data_dir.join(Self::NAME);
        match file::read(&path, 4096) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                CliError::malformed(format!("{} does not say where the node is", path.display())).cause(e.to_string())
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(CliError::file(&path, &e)),
        }
    }
}

/// A node's API.
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// What the node answered: a status and a body.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the body as JSON; an error document of the node becomes ours.
    pub fn json<T: DeserializeOwned>(&self) -> CliResult<T> {
        if !(200..300).contains(&self.status) {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body).map_err(|e| {
            CliError::new("node-answer", Exit::Io, "the node's answer is not what this version reads")
                .cause(e.to_string())
        })
    }

    /// Returns the node's refusal as an error.
    pub fn error(&self) -> CliError {
        #[derive(Deserialize)]
        struct Document {
            exit: u8,
            message: String,
            #[serde(default)]
            causes: Vec<String>,
            #[serde(default)]
            hints: Vec<String>,
        }
        match serde_json::from_slice::<Document>(&self.body) {
            Ok(document) => CliError {
                code: "node-refused",
                exit: Exit::from_code(document.exit).unwrap_or(Exit::Io),
                message: document.message,
                causes: document.causes,
                hints: document.hints,
            },
            Err(_) => CliError::new("node-refused", Exit::Io, format!("the node answered {}", self.status)),
        }
    }
}

impl Client {
    /// Makes a client of the API at `url`.
    pub fn at(url: &str) -> CliResult<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(CliError::usage(format!("expected a URL such as http://127.0.0.1:7412, came {url}")));
        }
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Ok(Self { agent: config.new_agent(), base: url.trim_end_matches('/').to_owned() })
    }

    /// Makes a client of the node that runs on a data directory; `None` when none does.
    pub fn of_data_dir(data_dir: &Path) -> CliResult<Option<Self>> {
        let api = NodeFile::read(data_dir)?.and_then(|node| node.api);
        api.map(|url| Self::at(&url)).transpose()
    }

    /// Returns the URL of the API.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Asks for `path`, which begins with a slash.
    pub fn get(&self, path: &str) -> CliResult<Answer> {
        let sent = self.agent.get(format!("{}{path}", self.base)).call();
        self.answer(sent)
    }

    /// Sends `body` to `path`.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> CliResult<Answer> {
        // A page in a browser cannot send this header without asking first.
        let request = self.agent.post(format!("{}{path}", self.base)).header("x-standfast", "1");
        let request = request.header("content-type", content_type);
        self.answer(request.send(body))
    }

    fn answer(&self, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> CliResult<Answer> {
        let silent = |e: &ureq::Error| {
            CliError::new("node-silent", Exit::Io, format!("the node's API does not answer: {}", self.base))
                .cause(e.to_string())
                .hint("start the node: standfast node run")
        };
        let mut response = sent.map_err(|e| silent(&e))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_SIZE_MAX).read_to_vec().map_err(|e| silent(&e))?;
        Ok(Answer { status, body })
    }
}
