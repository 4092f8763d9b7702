import CLinux
import Glibc

/// Gives memory back that the process holds without using it.
///
/// What runs at the start or while pods are set up (parsing, linking, the image of each library) stays mapped although an idle agent never
/// touches it again, and the kernel spares mapped program code when memory is short. Unmapped, the pages are ordinary file cache; code that
/// is needed again is mapped again without reading the disk.
public enum ResidentMemory {
  /// Frees unused heap pages and unmaps program code. Cheap: a read of /proc/self/maps and one system call per library.
  public static func release() {
    malloc_trim(0)
    guard let maps = fopen("/proc/self/maps", "re") else { return }
    defer { fclose(maps) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, maps) > 0 {
      guard let line, let range = codeRange(String(cString: line)) else { continue }
      madvise(UnsafeMutableRawPointer(bitPattern: range.lowerBound), range.count, MADV_DONTNEED)
    }
  }

  /// The addresses of a line of /proc/self/maps if it is code of a file: mapped `r-xp`, which nothing writes to. What is `r--p` is left
  /// alone: the linker has written addresses there, which the file doesn't have.
  static func codeRange(_ line: String) -> Range<UInt>? {
    let fields = line.split(whereSeparator: \.isWhitespace)
    guard fields.count >= 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { return nil }
    let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
    return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
  }

  /// Gives memory back now and then, until it is cancelled.
  public static func keepSmall(every interval: Duration = .seconds(30)) async {
    while true {
      do { try await Task.sleep(for: interval, tolerance: interval / 6) } catch { return }
      release()
    }
  }
}
