// Taken by what comes.
