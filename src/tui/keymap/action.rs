//! Actions that keys can trigger.

/// An action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Quit the program.
    Quit,
    /// Cancel the computation, or quit if there is none.
    Interrupt,
    /// Cancel the computation, or close the error or the zoom.
    Escape,
    /// Open the help.
    Help,
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the program, as a shell's Ctrl-z does.
    Suspend,
    /// Focus the panel with this number, from 1.
    Pane(u8),
    /// Focus the next panel.
    NextPane,
    /// Focus the previous panel.
    LastPane,
    /// Let the focused panel fill the screen, or return to all panels.
    Zoom,
    /// Move the cursor by this many rows.
    Move(i32),
    /// Move the cursor by this many half pages.
    Page(i32),
    /// Move the cursor to the first row.
    Top,
    /// Move the cursor to the last row.
    Bottom,
    /// Use the row under the cursor.
    Choose,
    /// Left: fold, decrease, or go to the previous item.
    Left,
    /// Right: unfold, increase, or go to the next item.
    Right,
    /// Play or pause the steps.
    Play,
    /// Go this many steps forward, or back if negative.
    Step(i32),
    /// Go to the first step.
    First,
    /// Go to the last step kept.
    Last,
    /// Fork a branch at the current step.
    Fork,
    /// Switch to the branch this many places after the open one.
    Branch(i32),
    /// Show the previous branch next to this one, or hide it.
    Compare,
    /// Run the method again.
    Restart,
    /// Cancel the computation.
    Cancel,
    /// Change the parameter under the cursor by this many notches.
    Change(i32),
    /// Multiply the parameter under the cursor by this power of ten.
    Tenfold(i32),
    /// Reset the parameter under the cursor.
    Default,
    /// Reset all parameters.
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
    /// Search the functions that scripts can call.
    Reference,
    /// Choose the colormap from a list.
    PickColors,
    /// Switch to the view this many places after the current one.
    View(i32),
    /// Zoom into pictures by this many notches.
    Enlarge(i32),
    /// Show whole pictures.
    Whole,
    /// Start or stop reading values from pictures.
    Inspect,
    /// Switch to the next scale for maps.
    Scale,
    /// Make maps more or less opaque.
    Strength(i32),
    /// Enter where to save the figures.
    Save,
    /// Open the script in an editor.
    Edit,
    /// Filter the list.
    Filter,
    /// Enter a command.
    CommandLine,
    /// Let the log fill the screen.
    ShowLog,
    /// Complete the last word.
    Complete,
    /// Accept the line or the row under the cursor.
    Accept,
    /// Delete the character to the left.
    Backspace,
    /// Delete the character to the right.
    Delete,
    /// Delete the word to the left.
    DeleteWord,
    /// Delete the whole line.
    DeleteLine,
    /// Move the cursor within the line.
    Cursor(i32),
    /// Move to the start of the line.
    LineStart,
    /// Move to the end of the line.
    LineEnd,
}
