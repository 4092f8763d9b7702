#!/usr/bin/env bash
# Random operations in a simulated cloud while everything fails, compared with a model. A failed seed is replayed by naming it.
# usage: model.sh [SEEDS [KILLS]]      SEEDS: 7 or 1-1000 (the default), several with commas; KILLS of the agent in a storm of pods: 200
set -euo pipefail
cd "$(dirname "$0")/.."
export MODEL_SEEDS=${1:-1-1000} MODEL_KILLS=${2:-200}
exec hack/test.sh --filter 'IntegrationTests\.ModelTests'
