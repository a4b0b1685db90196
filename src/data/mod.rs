//! Pictures and data sets: from files, or made by the program itself.
