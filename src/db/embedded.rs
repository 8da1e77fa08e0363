//! A private cluster in a data folder.
