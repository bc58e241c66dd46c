// SentencePiece linked like any other library: programs without libtorch (subword_backend.h says why it
// matters).
#include "text/subword_backend.h"

namespace megin::text {

const SubwordBackend& subword_backend() {
  return *megin_subword_backend();
}

}  // namespace megin::text
