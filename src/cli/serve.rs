//! `taper serve`: an endpoint that speaks OpenAI's API.

use super::{
    args::{ComputeArgs, ModelArgs, positive},
    exit::{Exit, UsageError},
    output::{LogFormat, Logs, Output},
};
use crate::{
    engine::Prompter,
    server::{Address, Ended, Loaded, Settings, TlsFiles, Tracing, serve},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; any but this machine's own needs --api-key-file
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "Listen")]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080, help_heading = "Listen")]
    port: u16,
    /// Listen on a socket in the file system instead
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port"], help_heading = "Listen")]
    unix_socket: Option<PathBuf>,
    /// Speak TLS, with these certificates
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Listen")]
    tls_cert: Option<PathBuf>,
    /// The key of the first certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Listen")]
    tls_key: Option<PathBuf>,
    /// Ask for one of the keys in this file, a key a line
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    api_key_file: Option<PathBuf>,
    /// Let those with a key of this file reload the model by `POST /admin/reload`
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    admin_key_file: Option<PathBuf>,
    /// Let everybody on the network in without a key
    #[arg(long, help_heading = "Access")]
    insecure: bool,
    /// A name beside localhost by which this server may be called (repeatable)
    #[arg(long, value_name = "NAME", help_heading = "Access")]
    allow_host: Vec<String>,
    /// An origin whose pages may use this server, `*` for all (repeatable)
    #[arg(long, value_name = "ORIGIN", help_heading = "Access")]
    cors: Vec<String>,
    /// Requests a minute for each key
    #[arg(long, value_name = "N", help_heading = "Access")]
    rate_limit: Option<u32>,
    /// Requests that are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive, help_heading = "Capacity")]
    parallel: usize,
    /// Requests that may wait beside them
    #[arg(long, value_name = "N", default_value_t = 128, help_heading = "Capacity")]
    queue: usize,
    /// Bytes that the keys and values of all requests may take; only what they need is taken
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30, help_heading = "Capacity")]
    kv_cache_bytes: u64,
    /// Bytes of the body of a request at most
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, help_heading = "Capacity")]
    max_body_bytes: usize,
    /// Connections at once at most
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = positive, help_heading = "Capacity")]
    max_connections: usize,
    /// Seconds that a request may take to arrive and a connection to stay idle
    #[arg(long, value_name = "N", default_value_t = 60, help_heading = "Capacity")]
    idle_seconds: u64,
    /// Seconds after which a stream without news shows that it lives
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Capacity")]
    ping_seconds: u64,
    /// Seconds that requests under way may take when the server ends
    #[arg(long, value_name = "N", default_value_t = 30, help_heading = "Capacity")]
    drain_seconds: u64,
    /// Log a line for each request to stderr, in this form
    #[arg(long, value_name = "FORMAT", help_heading = "Logs and traces")]
    log_format: Option<LogFormat>,
    /// Log what is asked and answered too
    #[arg(long, help_heading = "Logs and traces")]
    log_text: bool,
    /// Send traces to an OpenTelemetry collector over HTTP; without URL to where the OTEL_ variables say, else to
    /// localhost:4318
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", value_parser = collector)]
    #[arg(help_heading = "Logs and traces")]
    otlp_endpoint: Option<String>,
    /// How clients call the model [default: as it was asked for]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    alias: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let settings = args.settings()?;
    let progress = output.spinner("loading the model");
    let loaded = args.load(output)?;
    progress.finish_and_clear();
    let (again, talk) = (args.clone(), output.clone());
    // Where it is found is what scripts want to know; one that has closed its end does not.
    let ready = |url: &str| drop(output.answer(&format!("{url}\n")));
    Ok(match serve(settings, loaded, Box::new(move || again.load(&talk)), ready)? {
        Ended::Drained => Exit::Done,
        Ended::CutOff(n) => {
            output.note(&format!("{n} requests were cut off after {} seconds", args.drain_seconds));
            Exit::Done
        }
        Ended::Interrupted => Exit::Interrupted,
    })
}

/// The address of a collector; empty for what the environment says.
fn collector(text: &str) -> Result<String, String> {
    let is_url = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match is_url {
        Some("") | None if !text.is_empty() => Err("expected http://HOST:PORT or https://HOST:PORT".into()),
        _ => Ok(text.to_owned()),
    }
}

impl Args {
    /// Warnings, and with `--log-format` a line a request; more with `-v`, less with `-q`.
    pub(super) fn logs(&self, quiet: bool, verbose: u8) -> Logs {
        let wants_requests = self.log_format.is_some() || self.log_text;
        let filter = match verbose {
            0 if wants_requests => "taper=warn,taper::server=info",
            0 if quiet => "taper=error",
            0 => "taper=warn",
            1 => "taper=info",
            _ => "taper=debug",
        };
        Logs { filter, format: self.log_format.unwrap_or(LogFormat::Text), with_time: true }
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let is_public = self.unix_socket.is_none() && !self.host.is_loopback();
        if is_public && self.api_key_file.is_none() && !self.insecure {
            let message = format!(
                "`--host {}` lets the network in, expected --api-key-file\nhint: --insecure lets everybody in without a key",
                self.host
            );
            return Err(UsageError(message).into());
        }
        let address = match &self.unix_socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp(SocketAddr::new(self.host, self.port)),
        };
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        Ok(Settings {
            address,
            tls: tls.map(|(certificates, key)| TlsFiles { certificates, key }),
            keys_file: self.api_key_file.clone(),
            admin_keys_file: self.admin_key_file.clone(),
            hosts: self.allow_host.clone(),
            origins: self.cors.clone(),
            rate_limit: self.rate_limit,
            n_parallel: self.parallel,
            n_queue: self.queue,
            max_body_bytes: self.max_body_bytes,
            idle: Duration::from_secs(self.idle_seconds),
            drain: Duration::from_secs(self.drain_seconds),
            ping: Duration::from_secs(self.ping_seconds),
            n_connections: self.max_connections,
            log_text: self.log_text,
            tracing: self
                .otlp_endpoint
                .clone()
                .map(|url| Tracing { endpoint: Some(url).filter(|url| !url.is_empty()) }),
        })
    }

    /// Loads the model with a cache for the requests that are worked on at once.
    fn load(&self, output: &Output) -> anyhow::Result<Loaded> {
        let files = self.model.open(output)?;
        let tokenizer = files.tokenizer()?;
        let template = files.template(&tokenizer)?;
        let room = (self.parallel, self.kv_cache_bytes);
        let engine = files.load_for_many(self.compute.compute(), self.compute.ctx_size, room, tokenizer.clone())?;
        let name = self.alias.clone().unwrap_or_else(|| files.reference().to_owned());
        Ok(Loaded { name, prompter: Prompter::new(tokenizer, template), engine, files })
    }
}
