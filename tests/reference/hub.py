#!/usr/bin/env python3
"""What Python's huggingface_hub makes of a cache, for tests/it/pull/python.rs.

usage: TAPER_PYTHON=python cargo test --test it pull::python   (with huggingface_hub installed; tried with 2.4)

    hub.py find CACHE REPO REVISION NAME...   prints where each file is in the cache, without the network, or `absent`
    hub.py fetch CACHE REPO REVISION NAME...  the same, with the network
    hub.py scan CACHE                         prints repositories with commits, sizes and numbers of files
"""
import sys

from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, scan_cache_dir, try_to_load_from_cache

command, cache, *rest = sys.argv[1:]
if command == "scan":
    found = scan_cache_dir(cache)
    assert not found.warnings, found.warnings
    for repo in found.repos:
        for revision in repo.revisions:
            print(repo.repo_id, revision.commit_hash, ",".join(sorted(revision.refs)), revision.nb_files, repo.size_on_disk)
else:
    repo, revision, *names = rest
    for name in names:
        if try_to_load_from_cache(repo, name, cache_dir=cache, revision=revision) is _CACHED_NO_EXIST:
            print("absent")
            continue
        print(hf_hub_download(repo, name, revision=revision, cache_dir=cache, local_files_only=command == "find"))
