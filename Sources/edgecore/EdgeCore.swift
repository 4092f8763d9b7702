import ArgumentParser
import Core
import Edged
@main struct EdgeCore: ParsableCommand { func run() {} }
