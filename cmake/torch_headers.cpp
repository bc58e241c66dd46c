// Has no code: the object library that owns the precompiled libtorch headers needs a source.
