//! One client of a server: asks, and follows the answer.

use super::{
    Endpoint, LoadError, Prompt, Route, Wish,
    failure::{Failed, Failure},
    stream::{Answered, follow},
};
use serde_json::{Value, json};
use std::{
    io::{BufReader, Read},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long the list of models may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// What is asked before anything counts.
const WARM_UP: &str = "Count to three.";
/// How often to look whether to stop.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What a server takes; servers differ in what they refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dialect {
    /// Whether to ask for the counts of tokens.
    stream_options: bool,
    /// Whether to ask for the likeliest tokens.
    temperature: bool,
    /// The field of the most tokens.
    limit: &'static str,
}

const USUAL: Dialect = Dialect { stream_options: true, temperature: true, limit: "max_tokens" };

/// Where prompts of a kind are sent, and in what dialect.
#[derive(Clone, Copy, Debug)]
struct Way {
    route: Route,
    dialect: Dialect,
}

/// A client with connections of its own.
pub(super) struct Client {
    endpoint: Endpoint,
    model: String,
    /// For texts.
    texts: Way,
    /// For the messages of a chat.
    messages: Way,
    agent: ureq::Agent,
}

impl Client {
    /// Finds out which model there is, where `prompts` are to be sent, and how the server wants to be asked, with requests
    /// that do not count.
    ///
    /// # Errors
    /// [`LoadError`] if nobody is there, or the server refuses whatever it will be asked.
    pub(super) fn meet(endpoint: &Endpoint, prompts: &[Prompt]) -> Result<Client, LoadError> {
        let agent = endpoint.agent();
        let model = match &endpoint.model {
            Some(model) => model.clone(),
            // Servers of one model do not care for its name.
            None => first_model(endpoint, &agent).unwrap_or_else(|| "default".into()),
        };
        let chat = Way { route: Route::Chat, dialect: USUAL };
        let texts = Way { route: endpoint.route.unwrap_or(Route::Completions), dialect: USUAL };
        let mut client = Client { endpoint: endpoint.clone(), model, texts, messages: chat, agent };
        let mut done = None;
        if prompts.iter().any(Prompt::is_text) {
            let (mut way, mut failed) = client.try_out(texts);
            let may_chat = endpoint.route.is_none();
            if may_chat && failed.as_ref().is_some_and(has_no_completions) {
                (way, failed) = client.try_out(chat);
            }
            client.accept(way.route, failed)?;
            client.texts = way;
            done = Some(way);
        }
        if !prompts.iter().all(Prompt::is_text) {
            let (way, failed) = match done.filter(|way| way.route == Route::Chat) {
                Some(way) => (way, None),
                None => client.try_out(chat),
            };
            client.accept(Route::Chat, failed)?;
            client.messages = way;
        }
        Ok(client)
    }

    /// Asks by a way and changes its dialect as the server wants it; also gives what failed if nothing helps.
    fn try_out(&self, mut way: Way) -> (Way, Option<Failed>) {
        let prompt = Prompt::Text(WARM_UP.into());
        let wish = Wish { max_tokens: 4, ignore_end: false };
        loop {
            let failed = match self.ask_by(way, &prompt, wish, Instant::now()) {
                Ok(_) | Err(Failed { kind: Failure::Empty, .. }) => return (way, None),
                Err(failed) => failed,
            };
            let dialect = way.dialect.after(&failed);
            if dialect == way.dialect {
                return (way, Some(failed));
            }
            way.dialect = dialect;
        }
    }

    /// Refuses a server that will answer nothing; other failures are results.
    fn accept(&self, route: Route, failed: Option<Failed>) -> Result<(), LoadError> {
        let Some(Failed { kind, found }) = failed else { return Ok(()) };
        let (url, reason) = (self.endpoint.url(route), kind.to_string());
        match kind {
            Failure::Connection => Err(LoadError::Unreachable { url, reason: found }),
            Failure::Status(401 | 403) => Err(LoadError::Denied { url, reason, found }),
            Failure::Status(404 | 405 | 501) => Err(LoadError::Refused { url, reason, found }),
            _ => Ok(()),
        }
    }

    /// Another client of the same server.
    pub(super) fn another(&self) -> Client {
        Client {
            endpoint: self.endpoint.clone(),
            model: self.model.clone(),
            texts: self.texts,
            messages: self.messages,
            agent: self.endpoint.agent(),
        }
    }

    /// The model that is asked for.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Where a prompt is sent.
    pub(super) fn route(&self, prompt: &Prompt) -> Route {
        self.way(prompt).route
    }

    fn way(&self, prompt: &Prompt) -> Way {
        if prompt.is_text() { self.texts } else { self.messages }
    }

    /// Asks and follows the answer to its end; times are counted from `due`.
    pub(super) fn ask(&self, prompt: &Prompt, wish: Wish, due: Instant) -> Result<Answered, Failed> {
        self.ask_by(self.way(prompt), prompt, wish, due)
    }

    fn ask_by(&self, way: Way, prompt: &Prompt, wish: Wish, due: Instant) -> Result<Answered, Failed> {
        let mut request = self.agent.post(self.endpoint.url(way.route)).header("content-type", "application/json");
        if let Some(key) = &self.endpoint.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = self.body(way, prompt, wish).to_string();
        let response = request.send(&body).map_err(|error| Failed::before_answer(&error))?;
        let status = response.status().as_u16();
        let reader = response.into_body().into_reader();
        if status != 200 {
            let mut text = Vec::new();
            // Without its text the status is failure enough.
            let _ = reader.take(4096).read_to_end(&mut text);
            return Err(Failed::new(Failure::Status(status), &String::from_utf8_lossy(&text)));
        }
        follow(BufReader::new(reader), due)
    }

    fn body(&self, way: Way, prompt: &Prompt, wish: Wish) -> Value {
        let mut body = json!({"model": self.model, "stream": true});
        body[way.dialect.limit] = wish.max_tokens.into();
        if way.dialect.temperature {
            body["temperature"] = 0.into();
        }
        if way.dialect.stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
        if wish.ignore_end {
            body["ignore_eos"] = true.into();
        }
        match (way.route, prompt) {
            (Route::Chat, Prompt::Text(text)) => body["messages"] = json!([{"role": "user", "content": text}]),
            (Route::Completions, Prompt::Text(text)) => body["prompt"] = text.as_str().into(),
            (_, Prompt::Messages(messages)) => body["messages"] = messages.clone(),
        }
        body
    }
}

impl Dialect {
    /// The dialect to try after a failure; the same if there is nothing to change.
    fn after(self, failed: &Failed) -> Dialect {
        let named = |field| matches!(failed.kind, Failure::Status(400 | 422)) && failed.found.contains(field);
        match self {
            Dialect { limit: "max_tokens", .. } if named("max_completion_tokens") => {
                Dialect { limit: "max_completion_tokens", ..self }
            }
            Dialect { stream_options: true, .. } if named("stream_options") => {
                Dialect { stream_options: false, ..self }
            }
            Dialect { temperature: true, .. } if named("temperature") => Dialect { temperature: false, ..self },
            _ => self,
        }
    }
}

/// Whether a server says that it only chats: with a status, or in words.
fn has_no_completions(failed: &Failed) -> bool {
    match failed.kind {
        Failure::Status(404 | 405 | 501) => true,
        Failure::Status(400 | 422) => failed.found.contains("chat"),
        _ => false,
    }
}

/// The first model of the server's list.
fn first_model(endpoint: &Endpoint, agent: &ureq::Agent) -> Option<String> {
    let mut request = agent.get(endpoint.models_url());
    if let Some(key) = &endpoint.api_key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut response = request.config().timeout_global(Some(LIST_TIMEOUT)).build().call().ok()?;
    let text = response.body_mut().with_config().limit(1 << 20).read_to_string().ok()?;
    let list: Value = serde_json::from_str(&text).ok()?;
    list["data"][0]["id"].as_str().map(str::to_string)
}

/// Does what may take long on a thread that is left to itself when the user wants no more.
pub(super) fn attended<T: Send + 'static>(
    cancelled: &dyn Fn() -> bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(work()));
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(value) => return Ok(value),
            Err(mpsc::RecvTimeoutError::Timeout) if !cancelled() => {}
            Err(_) => return Err(LoadError::Interrupted),
        }
    }
}
