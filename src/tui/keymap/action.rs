//! Actions that keys can trigger.

/// An action that a key can trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Quit the program.
    Quit,
    /// Cancel the computation, or quit if nothing is running.
    Interrupt,
    /// Cancel the computation or, if nothing is running, close the error or the zoom.
    Escape,
    /// Open the help.
    Help,
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the program, like Ctrl-z in a shell.
    Suspend,
    /// Focus the panel with this number, starting at 1.
    Pane(u8),
    /// Focus the next panel.
    NextPane,
    /// Focus the previous panel.
    LastPane,
    /// Maximize the focused panel, or return to all panels.
    Zoom,
    /// Move the cursor by this many rows, down if positive.
    Move(i32),
    /// Move the cursor by this many half pages, down if positive.
    Page(i32),
    /// Move the cursor to the first row.
    Top,
    /// Move the cursor to the last row.
    Bottom,
    /// Choose the row under the cursor.
    Choose,
    /// Go left: fold, decrease, or go to the previous item.
    Left,
    /// Go right: unfold, increase, or go to the next item.
    Right,
    /// Use the layer under the cursor, or the output of the module under the cursor.
    UseOutput,
    /// Show or hide shape arithmetic among the layers.
    ShapeArithmetic,
    /// Play or pause the steps.
    Play,
    /// Go this many steps forward, or back if negative.
    Step(i32),
    /// Go to the first step.
    First,
    /// Go to the last step.
    Last,
    /// Undo the latest change.
    Undo,
    /// Redo the change that was undone last.
    Redo,
    /// Copy to the clipboard.
    Copy,
    /// Choose anything from one list.
    Palette,
    /// Find the smallest radius at which the attack fools the network.
    MinimalEpsilon,
    /// Fork a branch at the current step.
    Fork,
    /// Switch to the branch this many positions after the open one.
    Branch(i32),
    /// Mark the method or class under the cursor for the gallery.
    Mark,
    /// Run the marked methods for the marked classes and show their results, or close them.
    Gallery,
    /// Show the previously open branch next to the open one, or hide it.
    Compare,
    /// Set the unit under the mark to zero, or restore it.
    Ablate,
    /// Run the method again.
    Restart,
    /// Cancel the computation.
    Cancel,
    /// Change the parameter under the cursor by this many notches.
    Change(i32),
    /// Multiply the parameter under the cursor by ten to the power of this number.
    Tenfold(i32),
    /// Reset the parameter under the cursor to its default.
    Default,
    /// Reset all parameters to their defaults.
    Defaults,
    /// Choose a method from a list.
    PickMethod,
    /// Choose a layer from a list.
    PickLayer,
    /// Choose the target class from a list.
    PickTarget,
    /// Choose a model from a list.
    PickModel,
    /// Choose a picture from a list.
    PickPicture,
    /// Enter the path of a picture.
    OpenPicture,
    /// Open the reference of script functions.
    Reference,
    /// Choose the colormap from a list.
    PickColors,
    /// Switch to the view this many positions after the current one.
    View(i32),
    /// Zoom into pictures by this many notches, or out if negative.
    Enlarge(i32),
    /// Reset the zoom.
    Whole,
    /// Start or stop reading values from pictures.
    Inspect,
    /// Switch to the next color scale for heatmaps.
    Scale,
    /// Increase the opacity of heatmaps over pictures by this many steps, or decrease it if negative.
    Strength(i32),
    /// Enter the path to save the figures to.
    Save,
    /// Open the script of the method in an editor.
    Edit,
    /// Filter the list of methods or layers.
    Filter,
    /// Move to the next match of the search, or the previous one if negative.
    Match(i32),
    /// Enter a command.
    CommandLine,
    /// Maximize the log panel.
    ShowLog,
    /// Complete the last word of the line.
    Complete,
    /// Accept the typed line or the row under the cursor.
    Accept,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character after the cursor.
    Delete,
    /// Delete the word before the cursor.
    DeleteWord,
    /// Delete the whole line.
    DeleteLine,
    /// Move the cursor within the line by this many characters.
    Cursor(i32),
    /// Move the cursor to the start of the line.
    LineStart,
    /// Move the cursor to the end of the line.
    LineEnd,
}
