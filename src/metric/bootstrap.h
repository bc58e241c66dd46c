// Confidence intervals and the paired significance test by bootstrap resampling (Koehn 2004), as sacreBLEU's
// --paired-bs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "metric/corpus.h"

namespace megin::metric {

struct BootstrapOptions {
  size_t samples = 1000;  // resampled corpora; at least 1
  uint64_t seed = 12345;  // sacreBLEU's default; but the draws are megin's own (see below)
};

// Which segment (0 to segments - 1) stands at `position` of resampled corpus number `sample`.
using Draw = std::function<size_t(size_t sample, size_t position)>;

// megin's draws, with replacement: hashes of seed, sample and position (base/random.h). sacreBLEU draws from
// NumPy's generator, so that for one seed the resampled corpora differ, and with them the intervals and
// p-values within their sampling error.
Draw hashed_draw(uint64_t seed, size_t segments);

// One system of the test.
struct Resampled {
  Score score;            // of the whole corpus; its signature has bs and seed
  double mean = 0;        // over the resampled corpora
  double half_width = 0;  // half of the 95 % interval: 2.5 % of the resampled scores lie beyond either end
};

struct PairedTest {
  Resampled baseline;
  Resampled system;
  // How probable a difference at least as large as the real one is if the systems do not differ: with
  // d = |score difference| in each resampled corpus, (1 + number of d - mean(d) > real difference) / (1 +
  // samples).
  double p_value = 1;
};

// Both corpora keep their segments, have the same metric, the same references and so the same size; else
// UsageError. Time: samples * segments * columns additions for each system.
PairedTest paired_bootstrap(const Corpus& baseline, const Corpus& system, const BootstrapOptions& options);

// The same with the draws from outside; options.seed is then only a name in the signature.
PairedTest paired_bootstrap(const Corpus& baseline, const Corpus& system, const BootstrapOptions& options,
                            const Draw& draw);

}  // namespace megin::metric
