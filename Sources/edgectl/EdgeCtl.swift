import ArgumentParser
@main struct EdgeCtl: ParsableCommand { func run() {} }
