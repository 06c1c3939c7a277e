//! One client of a server: asks, and follows the answer.

use super::{
    Endpoint, LoadError, Prompt, Route,
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
/// How often to look whether to stop.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What a server takes; servers differ in what they refuse.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    /// Whether to ask for the counts of tokens.
    stream_options: bool,
    /// The field of the most tokens.
    limit: &'static str,
}

/// A client with connections of its own.
pub(super) struct Client {
    endpoint: Endpoint,
    route: Route,
    model: String,
    dialect: Dialect,
    agent: ureq::Agent,
}

impl Client {
    /// Finds out which model there is and how the server wants to be asked, with a request that does not count. Also gives
    /// what failed if that request did.
    ///
    /// # Errors
    /// [`LoadError::Unreachable`] if nobody is there.
    pub(super) fn meet(endpoint: &Endpoint, route: Route) -> Result<(Client, Option<Failed>), LoadError> {
        let agent = endpoint.agent();
        let model = match &endpoint.model {
            Some(model) => model.clone(),
            // Servers of one model do not care for its name.
            None => first_model(endpoint, &agent).unwrap_or_else(|| "default".into()),
        };
        let dialect = Dialect { stream_options: true, limit: "max_tokens" };
        let mut client = Client { endpoint: endpoint.clone(), route, model, dialect, agent };
        let failed = client.warm_up();
        match failed {
            Some(Failed { kind: Failure::Connection, found }) => {
                Err(LoadError::Unreachable { url: endpoint.url(route), reason: found })
            }
            failed => Ok((client, failed)),
        }
    }

    fn warm_up(&mut self) -> Option<Failed> {
        let prompt = Prompt::Text("Count to three.".into());
        let mut refusals = 0;
        loop {
            let failed = self.ask(&prompt, 4, Instant::now()).err()?;
            let refused = matches!(failed.kind, Failure::Status(400 | 422)) && refusals < 2;
            refusals += 1;
            if refused && self.dialect.limit == "max_tokens" && failed.found.contains("max_completion_tokens") {
                self.dialect.limit = "max_completion_tokens";
            } else if refused && self.dialect.stream_options && failed.found.contains("stream_options") {
                self.dialect.stream_options = false;
            } else {
                return (failed.kind != Failure::Empty).then_some(failed);
            }
        }
    }

    /// Another client of the same server.
    pub(super) fn another(&self) -> Client {
        Client {
            endpoint: self.endpoint.clone(),
            route: self.route,
            model: self.model.clone(),
            dialect: self.dialect,
            agent: self.endpoint.agent(),
        }
    }

    /// The model that is asked for.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Asks and follows the answer to its end; times are counted from `due`.
    pub(super) fn ask(&self, prompt: &Prompt, max_tokens: usize, due: Instant) -> Result<Answered, Failed> {
        let mut request = self.agent.post(self.endpoint.url(self.route)).header("content-type", "application/json");
        if let Some(key) = &self.endpoint.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = self.body(prompt, max_tokens).to_string();
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

    fn body(&self, prompt: &Prompt, max_tokens: usize) -> Value {
        let mut body = json!({"model": self.model, "stream": true, "temperature": 0});
        body[self.dialect.limit] = max_tokens.into();
        if self.dialect.stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
        match (self.route, prompt) {
            (Route::Chat, Prompt::Text(text)) => body["messages"] = json!([{"role": "user", "content": text}]),
            (Route::Completions, Prompt::Text(text)) => body["prompt"] = text.as_str().into(),
            (_, Prompt::Messages(messages)) => body["messages"] = messages.clone(),
        }
        body
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
