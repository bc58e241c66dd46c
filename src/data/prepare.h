// `megin prepare`: corpora -> clean, deduplicated, split pairs (or sentences with labels) -> subword model ->
// token shards and a report; or a running text -> subword model -> the same; or bytes -> the same.
// docs/preparing_data.md tells it to users, docs/data_format.md what is written.
#pragma once

#include "base/console.h"
#include "config/data_config.h"
#include "data/prepare_report.h"

namespace megin::data {

enum class Existing { kRefuse, kReplace };

// Makes the folder config.output, whole or not at all: it is built beside its place and renamed, and nothing
// is left of it when an error or a stop signal (base/stop_signal.h) ends the work. The same configuration and
// files give the same bytes at any number of threads. Memory does not grow with the corpora, except for the
// subword model's sample.
//
// Throws Error for what is wrong with a file or a corpus, and when the folder exists (with kReplace: when it
// exists and is not empty or prepared data); UsageError for what is wrong with the configuration.
PrepareReport prepare(const config::DataConfig& config, Existing existing, Console& console);

}  // namespace megin::data
