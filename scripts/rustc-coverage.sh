#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER of the full test run: instruments the workspace's own crates and
# nothing else, so dependencies are built once and not measured. Turned off per crate by name.
case " $* " in
    *" --crate-name xtask "* | *" --crate-name testkit "*) exec "$@" ;;
    *" --crate-name "*) exec "$@" -C instrument-coverage ;;
    *) exec "$@" ;;
esac
