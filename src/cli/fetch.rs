//! Where a model of the Hub is on disk, for every command that needs one: in the cache, else fetched into it.

use super::{interrupt, output::Output, progress::Progress};
use crate::hub::{
    Cache, HubReference, Resolved,
    pull::{Hub, PullError, Settings, is_offline},
};

/// Finds the model; what is whole in the cache is taken as it is, without the network.
pub(crate) fn find(reference: &HubReference, offline: bool, output: &Output) -> anyhow::Result<Resolved> {
    let cache = Cache::of_process()?;
    let missing = match cache.resolve(reference) {
        Err(error) if error.is_missing() => error,
        found => return Ok(found?),
    };
    if offline || is_offline(|name| std::env::var_os(name)) {
        return Err(missing.into());
    }
    let hub = Hub::new(Settings::of_process(None)?, cache);
    Ok(fetch(&hub, reference, &Progress::on_stderr(output))?)
}

/// Fetches what the cache lacks of the newest commit that the reference means.
pub(crate) fn fetch(hub: &Hub, reference: &HubReference, progress: &Progress<'_>) -> Result<Resolved, PullError> {
    interrupt::listen();
    let plan = hub.plan(reference, progress)?;
    hub.fetch(&plan, progress)
}
