// Scores one translation, as `megin score` does. Prints "BLEU|nrefs:1|... = 100.0 ...".
#include <iostream>
#include <string>
#include <vector>

#include "metric/corpus.h"

int main() {
  const auto bleu = megin::metric::make_metric("bleu");
  megin::metric::Corpus corpus(*bleu);
  const std::vector<std::string> references = {"Der Gürtel verdoppelt die Kraft."};
  corpus.add("Der Gürtel verdoppelt die Kraft.", references);
  std::cout << format_score(corpus.score(), 1) << '\n';
}
