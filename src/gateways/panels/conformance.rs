//! What every driver must do, run over each of them.
